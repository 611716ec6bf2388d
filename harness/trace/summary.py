"""A recording in numbers, per task and per CPU.

Run times follow `perf sched timehist --summary`: at every switch, the time since the last switch on that CPU is a run
of the task that leaves; the first switch on a CPU gives its task a run of zero. Delays follow `perf sched latency`:
from becoming runnable to being picked. A task whose first event is its pick has a delay of zero. If the first event of
a task is a sched_stat_runtime, its delay begins there, unless it is switched out before it is picked.
Unlike perf before 6.10, the waits of preempted tasks (state R+) count as delays, too.

Numbers that a recording cannot give, because it has the switches of some tasks only, a sample of the events, no wakeups
or none of the events that they count, are None.

The numbers are added up while the recording is decoded (runqueue/sums.py): neither numpy nor Arrow is imported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.decode.read_ahead import read_ahead
from harness.trace.decode.row_release import RELEASE_ROWS, earliest_times, release_times
from harness.trace.perf_data.recording import Recording, open_recording, path_in_errors
from harness.trace.perf_data.records import CHUNK_BYTES
from harness.trace.quality import TraceQuality, assess, require_complete, require_events
from harness.trace.reader import RecordingInfo, recording_info
from harness.trace.runqueue.sums import CpuSums, Statistics, Sums, TaskSums, left_as
from harness.trace.scope import recorded_events
from harness.trace.tracepoint.comm import to_text
from harness.trace.tracepoint.state_reading import check_states, decide
from harness.trace.tracepoint.task_state import state_names

if TYPE_CHECKING:
    import pyarrow as pa


_OF_RUNS = ("run_ns", "run_min_ns", "run_mean_ns", "run_max_ns", "run_error_percent")
_OF_DELAYS = ("delays", "delay_mean_ns", "delay_max_ns", "delay_max_from_ns")
_OF_CPU_TIME, _OF_QUEUES = ("busy_ns", "idle_ns"), ("contested", "runnable_mean", "runnable_max")


@dataclass(frozen=True)
class TaskSummary:
    """A task in numbers. `comm`: its last name.

    `run_error_percent`: the standard error of the mean, in percent of the mean. `runtime_ns`: what the scheduler
    accounted (sched_stat_runtime).
    """

    comm: str
    tid: int
    runs: int
    run_ns: int | None
    run_min_ns: int | None
    run_mean_ns: float | None
    run_max_ns: int | None
    run_error_percent: float | None
    preemptions: int
    migrations: int | None
    delays: int | None
    delay_mean_ns: float | None
    delay_max_ns: int | None
    delay_max_from_ns: int | None
    runtime_ns: int | None


@dataclass(frozen=True)
class CpuSummary:
    """A CPU in numbers. `runnable_...`: tasks, the picked one included, in all slices but the idle task's."""

    cpu: int
    switches: int
    busy_ns: int | None
    idle_ns: int | None
    preemptions: int
    contested: int | None
    runnable_mean: float | None
    runnable_max: int | None


@dataclass(frozen=True)
class Summary:
    """A recording in numbers: `by_task` begins with the task that ran longest, `by_cpu` with the lowest CPU.

    If run times are not known, `by_task` begins with the task that ran most often.
    """

    path: Path
    header: RecordingInfo
    quality: TraceQuality
    by_task: tuple[TaskSummary, ...]
    by_cpu: tuple[CpuSummary, ...]

    @cached_property
    def tasks(self) -> pa.Table:
        """`by_task` as an Arrow table with the columns of `schemas.TASK_SCHEMA`."""
        import pyarrow as pa

        from harness.trace.tables.schemas import TASK_SCHEMA

        return pa.Table.from_pylist([asdict(task) for task in self.by_task], TASK_SCHEMA)

    @cached_property
    def cpus(self) -> pa.Table:
        """`by_cpu` as an Arrow table with the columns of `schemas.CPU_SCHEMA`."""
        import pyarrow as pa

        from harness.trace.tables.schemas import CPU_SCHEMA

        return pa.Table.from_pylist([asdict(cpu) for cpu in self.by_cpu], CPU_SCHEMA)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types, for JSON."""
        return {
            "path": str(self.path),
            "header": asdict(self.header),
            "quality": self.quality.to_dict(),
            "tasks": [asdict(task) for task in self.by_task],
            "cpus": [asdict(cpu) for cpu in self.by_cpu],
        }


def summarize(
    recording: Path | str,
    *,
    strict: bool = False,
    formats_from: Path | str | None = None,
    states: str | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
) -> Summary:
    """Count and time the tasks and CPUs of a recording, in memory that does not grow with it.

    Treats damage and `states` as `read` does. Raises TraceError.
    """
    check_states(states)
    path = Path(recording)
    opened = open_recording(path, Path(formats_from) if formats_from is not None else None)
    with path_in_errors(path):
        summary = _summarize(opened, states, chunk_bytes, release_rows)
    if strict:
        require_complete(opened.path, summary.quality)
    return summary


def _summarize(recording: Recording, states: str | None, chunk_bytes: int, release_rows: int) -> Summary:
    header, parts = recording.header, len(recording.parts)
    counter, decoder = NativeDecoder(header, parts, counts_only=True), NativeDecoder(header, parts)
    earliest = earliest_times(recording, counter, chunk_bytes)
    letters = state_names(header.formats)
    reading = decide(letters, header.os_release, states, read_ahead(recording, earliest, chunk_bytes))
    sums = Sums(lambda state: left_as(letters.letters(state) if letters else "", reading.shifted), reading.shifted)
    for limit_ns in release_times(recording, decoder, earliest, chunk_bytes, release_rows):
        sums.take(decoder, limit_ns)
    stats = counter.stats().completed(decoder.stats())
    quality, info = assess(recording, stats, letters, reading), recording_info(recording, stats.first_ns)
    require_events(recording.path, quality)
    tasks = _known_of_tasks(by_task(sums, decoder.names()), quality, recorded_events(header))
    return Summary(recording.path, info, quality, tasks, _known_of_cpus(by_cpu(sums), quality))


def by_task(sums: Sums, names: list[bytes]) -> tuple[TaskSummary, ...]:
    """Return the numbers of every task except the idle tasks, longest total run first."""
    tasks = [_task(task, to_text(names[task.name])) for task in sums.tasks() if task.tid]
    return tuple(sorted(tasks, key=lambda task: (-(task.run_ns or 0), task.tid)))


def by_cpu(sums: Sums) -> tuple[CpuSummary, ...]:
    """Return the numbers of every CPU that switched tasks."""
    return tuple(_cpu(cpu, found) for cpu, found in sums.cpus())


def _known_of_tasks(
    tasks: tuple[TaskSummary, ...], quality: TraceQuality, recorded: set[str]
) -> tuple[TaskSummary, ...]:
    """Take away what the recording does not tell."""
    unknown = [*(() if quality.run_times else _OF_RUNS), *(() if quality.run_queues else _OF_DELAYS)]
    unknown += ["runtime_ns"] if quality.sampled or "sched_stat_runtime" not in recorded else []
    unknown += [] if "sched_migrate_task" in recorded else ["migrations"]
    if not quality.run_times:
        tasks = tuple(sorted(tasks, key=lambda task: (-task.runs, task.tid)))
    return tuple(replace(task, **dict.fromkeys(unknown)) for task in tasks)  # type: ignore[arg-type] # each may be None


def _known_of_cpus(cpus: tuple[CpuSummary, ...], quality: TraceQuality) -> tuple[CpuSummary, ...]:
    """Take away what the recording does not tell."""
    unknown = [*(() if quality.run_times else _OF_CPU_TIME), *(() if quality.run_queues else _OF_QUEUES)]
    return tuple(replace(cpu, **dict.fromkeys(unknown)) for cpu in cpus)  # type: ignore[arg-type] # each may be None


def _task(task: TaskSums, comm: str) -> TaskSummary:
    runs, delays = task.runs, task.delays
    return TaskSummary(
        comm=comm,
        tid=task.tid,
        runs=runs.count,
        run_ns=runs.sum,
        run_min_ns=runs.least,
        run_mean_ns=_mean(runs),
        run_max_ns=runs.largest,
        run_error_percent=_error_percent(runs),
        preemptions=task.preemptions,
        migrations=task.migrations,
        delays=delays.count,
        delay_mean_ns=_mean(delays),
        delay_max_ns=delays.largest,
        delay_max_from_ns=task.longest_delay_from,
        runtime_ns=task.runtime_ns,
    )


def _cpu(cpu: int, found: CpuSums) -> CpuSummary:
    return CpuSummary(
        cpu=cpu,
        switches=found.switches,
        busy_ns=found.busy_ns,
        idle_ns=found.idle_ns,
        preemptions=found.preemptions,
        contested=found.contested,
        runnable_mean=found.runnable / max(found.picks, 1),
        runnable_max=found.most_runnable,
    )


def _mean(times: Statistics) -> float:
    return times.sum / max(times.count, 1)


def _error_percent(times: Statistics) -> float:
    mean = _mean(times)
    error = sqrt(times.squares / max(times.count - 1, 1) / max(times.count, 1))
    return 100 * error / mean if mean > 0 else 0.0
