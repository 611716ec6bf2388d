"""The tables that a query finds, and what their columns hold. docs/query.md has them; a test compares it with these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.score_rows import ESTIMATES

if TYPE_CHECKING:
    import pyarrow as pa

TEXT, NUMBER, COUNT, TRUTH, NUMBERS, SETTINGS = (
    *("VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN"),
    *("BIGINT[]", "MAP(VARCHAR, VARCHAR)"),
)


@dataclass(frozen=True)
class Column:
    """A column: its name, its type in SQL, and what it holds, in which unit."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: what a row of it is, and its columns. `events`: its rows lie in Parquet files of trials."""

    row: str
    columns: tuple[Column, ...]
    events: bool = False

    @property
    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        import pyarrow as pa

        types = {TEXT: pa.string(), NUMBER: pa.float64(), COUNT: pa.int64(), TRUTH: pa.bool_()}
        types |= {"SMALLINT": pa.int16(), "INTEGER": pa.int32(), "INTEGER[]": pa.list_(pa.int32())}
        types |= {NUMBERS: pa.list_(pa.int64()), SETTINGS: pa.map_(pa.string(), pa.string())}
        return pa.schema([(column.name, types[column.type]) for column in self.columns])


def _columns(*columns: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(*column) for column in columns)


RUN = ("run", TEXT, "name of its folder")
TRIAL = ("trial", TEXT, "name of the trial's folder")
ARM = ("arm", TEXT, "the treatment, by its load and its swept values")
MACHINE = (
    ("box", TEXT, "guest image"),
    ("kernel", TEXT, "release of the guest's kernel"),
    ("cpus", COUNT, "CPUs of the guest"),
    ("accelerator", TEXT, "`kvm`, or `tcg` for an emulated CPU"),
    ("clock", TEXT, "clock of the guest: `host`, or `counted` and the instructions per microsecond"),
)
PARTS = {"overall": "all switches", "contested": "contested switches"}
METRICS = {
    "top1": "share of {} whose next task was the likeliest",
    "top3": "share of {} whose next task was among the three likeliest",
    "above_chance": "`contested_top1` less what a blind pick gets",
    "bits_per_switch": "bits of surprise about the next task",
    "time_bits": "bits of surprise about the length of the slice",
    "time_mae_us": "mean absolute error of the length, us",
    "joint_bits": "bits of surprise about both",
}


def _estimates() -> Iterator[tuple[str, str, str]]:
    for name, (part, metric) in ESTIMATES.items():
        yield name, NUMBER, METRICS[metric].format(PARTS[part])
        yield f"{name}_low", NUMBER, "lower end of its 95 % interval over trials"
        yield f"{name}_high", NUMBER, "upper end"


def _events(row: str, *columns: tuple[str, str, str]) -> Table:
    return Table(row, _columns(RUN, TRIAL, ARM, *columns), events=True)


TIME = (("time_ns", COUNT, "when, ns of the guest's clock"), ("cpu", "SMALLINT", "CPU of the guest, from 0"))
TASK = (
    ("comm", TEXT, "name of the task"),
    ("tid", "INTEGER", "its thread id; 0 is the idle task"),
    ("prio", "SMALLINT", "its priority as the kernel counts: 120 is nice 0, below 100 is real time"),
)

TABLES: dict[str, Table] = {
    "runs": Table(
        "a run",
        _columns(
            RUN,
            ("label", TEXT, "line of words of `harness label`"),
            ("experiment", TEXT, "`name` in its experiment file"),
            ("state", TEXT, "`running`, `interrupted`, `failed` or `done`"),
            ("verdict", TEXT, "`passed`: every planned trial is usable; `failed`: one is not; else `none`"),
            ("created", TEXT, "when it began, UTC"),
            ("edited", TRUTH, "whether another program changed its manifest"),
            ("trials", COUNT, "trials planned"),
            ("trials_done", COUNT, "trials that are usable"),
            ("models", COUNT, "models begun"),
            ("models_done", COUNT, "models trained and scored"),
            ("load", TEXT, "kind of load, or kinds"),
            ("box", TEXT, "guest image, or images"),
            ("clock", TEXT, "clock of the guests, or clocks"),
            ("host", TEXT, "CPU of the host, and how many"),
            ("host_share", NUMBER, "largest share of the recorded time that a guest waited for the host, 0 to 1"),
            ("seconds", NUMBER, "time that its steps took, s"),
            ("bytes", COUNT, "size of its folder"),
            ("version", TEXT, "version of harness that began it"),
        ),
    ),
    "arms": Table(
        "an arm of a run",
        _columns(
            RUN,
            ARM,
            ("settings", SETTINGS, "swept values by their keys, as text: `settings['load.concurrency']`"),
            ("trials", COUNT, "trials begun"),
            ("usable", COUNT, "usable ones of them"),
            *MACHINE,
            ("memory_mb", COUNT, "memory of the guest, MB"),
            ("hypervisor", TEXT, "`libvirt` or `virtualbox`"),
        ),
    ),
    "trials": Table(
        "a trial of a run, usable or not",
        _columns(
            RUN,
            TRIAL,
            ARM,
            ("usable", TRUTH, "whether its recording may be used, by its verdict"),
            ("failed", TEXT, "checks that it failed, or why it ended"),
            ("settings", SETTINGS, "swept values by their keys, as text"),
            ("block", COUNT, "round of the arms that it belongs to, from 0"),
            ("attempts", COUNT, "attempts that it took"),
            ("late", TRUTH, "whether it was recorded after a later block began"),
            ("recorded_at", TEXT, "when it began, UTC"),
            ("boot_id", TEXT, "boot of the guest"),
            ("host_id", TEXT, "host that it ran on"),
            ("load", TEXT, "kind of load"),
            *MACHINE,
            ("tracer", TEXT, "`perf`, or `none`: a trial without a recording"),
            ("span_s", NUMBER, "from the first event to the last, s of the guest's clock"),
            ("switches", COUNT, "switches recorded"),
            ("switches_per_s", NUMBER, "switches per second of the guest's clock"),
            ("contested_share", NUMBER, "share of the switches at which two or more tasks could run, 0 to 1"),
            ("idle_share", NUMBER, "share of the CPU time that was idle, 0 to 1"),
            ("tracer_share", NUMBER, "share of the CPU time that perf took, 0 to 1"),
            ("guest_switches_per_s", NUMBER, "switches per second that the guest's kernel counted"),
            (
                "guest_connections_per_s",
                NUMBER,
                "TCP connections per second that programs of the guest accepted while it recorded",
            ),
            ("guest_idle_share", NUMBER, "share of the CPU time that was idle by the guest's kernel, 0 to 1"),
            ("host_share", NUMBER, "share of the recorded time that the guest waited for the host, 0 to 1"),
            ("seconds", NUMBER, "time that the trial took on the host, s"),
        ),
    ),
    "metrics": Table(
        "a number that the load of a trial measured",
        _columns(
            RUN,
            TRIAL,
            ARM,
            ("usable", TRUTH, "whether its recording may be used"),
            ("metric", TEXT, "key, such as `requests_per_s`; of a mix `web.latency_p99_ms`; its end is the unit"),
            ("value", NUMBER, "value, in the unit at the end of the key"),
        ),
    ),
    "load_results": Table(
        "a rate or a latency of the load of an arm, over the arm's usable trials",
        _columns(
            RUN,
            ARM,
            ("load", TEXT, "kind of load"),
            ("metric", TEXT, "key, as in `metrics`"),
            ("unit", TEXT, "`/s` or `ms`"),
            ("trials", COUNT, "usable trials that have it"),
            ("mean", NUMBER, "mean over them, in the unit"),
            ("sd", NUMBER, "standard deviation over them, in the unit; null for one"),
            ("low", NUMBER, "smallest value, in the unit"),
            ("high", NUMBER, "largest value, in the unit"),
        ),
    ),
    "scores": Table(
        "a predictor of an arm, all its seeds together",
        _columns(
            RUN,
            ARM,
            ("predictor", TEXT, "its name"),
            ("inputs", TEXT, "what it looks at: `marks`, `slices` or `runqueue`"),
            ("mark", TEXT, "what is predicted: `task`, or another mark"),
            ("seeds", NUMBERS, "seeds that it was trained with"),
            ("best", TRUTH, "whether the report of the run opens with it"),
            ("baseline", TRUTH, "whether others are compared with it"),
            *_estimates(),
            ("chance_top1", NUMBER, "`contested_top1` of a blind pick"),
            ("against_chance", TEXT, "set where it is no better than a blind pick, or below it"),
            ("interval_trials", COUNT, "trials that the intervals are over"),
            ("scored_trials", COUNT, "trials that it was scored on"),
            ("test_events", NUMBER, "switches that it was scored on, mean over seeds"),
            ("parameters", NUMBER, "numbers that it learned, mean over seeds"),
            ("fit_seconds", NUMBER, "time that training took, s, mean over seeds"),
            ("clock", TEXT, "clock of the guests that it was trained and scored on"),
        ),
    ),
    "trial_scores": Table(
        "a model, of one seed, on one trial",
        _columns(
            RUN,
            TRIAL,
            ARM,
            ("model", TEXT, "name of the model's folder"),
            ("predictor", TEXT, "its name"),
            ("inputs", TEXT, "what it looks at"),
            ("seed", COUNT, "seed that it was trained with"),
            ("top1", NUMBER, METRICS["top1"].format(PARTS["overall"])),
            ("contested_top1", NUMBER, METRICS["top1"].format(PARTS["contested"])),
            ("bits_per_switch", NUMBER, METRICS["bits_per_switch"]),
        ),
    ),
    "facts": Table(
        "a value that a fact has in the usable trials of an arm",
        _columns(
            RUN,
            ARM,
            ("topic", TEXT, "`host`, `machine`, `guest kernel`, `packages`, `software`, `experiment` or `run`"),
            ("name", TEXT, "such as `guest kernel` or `experiment: load.concurrency`"),
            ("value", TEXT, "its value as text; null where there is none"),
            ("trials", COUNT, "usable trials that have it"),
        ),
    ),
    "costs": Table(
        "a step of a run",
        _columns(
            RUN,
            ("step", TEXT, "its name in the manifest, such as `trial:000_nginx_ab`"),
            ("kind", TEXT, "`box`, `provision`, `trial`, `attempt`, `model`, `report` and so on"),
            ARM,
            ("state", TEXT, "`running`, `interrupted`, `failed` or `done`"),
            ("started", TEXT, "when it began, UTC"),
            ("seconds", NUMBER, "time that it took, s; null where it did not end well"),
            ("error", TEXT, "why it failed"),
        ),
    ),
    "switches": _events(
        "a switch from one task to the next on a CPU (`sched:sched_switch`)",
        *TIME,
        ("prev_comm", TEXT, "name of the task that is switched out"),
        ("prev_tid", "INTEGER", "its thread id"),
        ("prev_prio", "SMALLINT", "its priority"),
        ("prev_state", TEXT, "why it goes: `R` preempted, `S` asleep, and so on"),
        ("next_comm", TEXT, "name of the task that is switched in"),
        ("next_tid", "INTEGER", "its thread id"),
        ("next_prio", "SMALLINT", "its priority"),
    ),
    "slices": _events(
        "a slice: one stay of a task on a CPU",
        ("start_ns", COUNT, "when it was switched in, ns of the guest's clock"),
        ("slice_ns", COUNT, "how long it stayed, ns"),
        ("cpu", "SMALLINT", "CPU of the guest, from 0"),
        *TASK,
        ("end_state", TEXT, "why it left: `R` preempted, `S` asleep, and so on"),
        ("wake_ns", COUNT, "when it became runnable, ns; null where it had been preempted"),
        ("runnable", "INTEGER[]", "thread ids that could have been picked"),
        ("contested", TRUTH, "whether there were two or more of them"),
    ),
    "wakeups": _events(
        "a task that becomes runnable",
        *TIME,
        ("kind", TEXT, "`waking`, `wakeup` or `wakeup_new`"),
        *TASK,
        ("target_cpu", "SMALLINT", "CPU that it is to run on"),
    ),
    "runtimes": _events(
        "time that a task ran, as the kernel accounts it (`sched:sched_stat_runtime`)",
        *TIME,
        ("comm", TEXT, "name of the task"),
        ("tid", "INTEGER", "its thread id"),
        ("runtime_ns", COUNT, "time that it ran, ns"),
        ("vruntime_ns", COUNT, "its virtual run time, ns; null where the kernel gives none"),
    ),
}
