"""Summaries agree with `perf sched timehist --summary` and `perf sched latency` but for rounding, and are shown."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pytest
from busy import NAMES
from command_line import LIMIT_S
from forge import long_recording
from numpy_summary import assert_summed_up, task_summary
from perf_record import MORE_EVENTS, record
from rich.console import Console
from shorten import repeated, shortened

import harness.trace
from harness.terminal.trace_summary import render
from harness.trace.reader import Trace
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.summary import Summary, summarize
from harness.trace.tables.schemas import CPU_SCHEMA, TASK_SCHEMA
from harness.trace.tracepoint.comm import to_text

ROUNDING_MS = 0.0011  # perf cuts off after microseconds
_TIMEHIST = re.compile(
    rb"\[(\d+)(?:/\d+)?\] +-?\d+ +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +(\d+)$", re.MULTILINE
)
_LATENCY = re.compile(
    rb":(\d+) *\| +([\d.]+) ms \| +(\d+) \| avg: *([\d.]+) ms \| max: *([\d.]+) ms \| max start: *([\d.]+) s"
)


def perf(*words: str) -> bytes:
    return subprocess.run(["perf", "sched", *words], capture_output=True, check=True, timeout=240).stdout


def tasks_of_the_load(trace: Trace) -> set[int]:
    """Return the children of `busy.py`, which lived and died within the recording."""
    ours = {to_text(name) for name in NAMES}
    return {row["child_tid"] for row in trace.forks.to_pylist() if row["comm"].startswith("python")} | {
        row["next_tid"] for row in trace.switches.to_pylist() if row["next_comm"] in ours
    }


def born(trace: Trace) -> set[int]:
    """Return the tasks that began within the recording; perf may count the first event of other tasks differently."""
    return set(trace.forks["child_tid"].to_pylist())


def reaped_early(trace: Trace) -> set[int]:
    """Return the tasks that were dead (state X) when they left their CPU: perf counts that last run for no task."""
    gone = pc.equal(trace.switches["prev_state"].cast("string"), "X")
    return set(trace.switches.filter(gone)["prev_tid"].to_pylist())


def tasks_whose_leaving_was_lost(trace: Trace) -> set[int]:
    """Return the tasks that got a CPU which another task then left; perf ignores their next wakeup."""
    running: dict[int, int] = {}
    tids = set()
    for row in trace.switches.select(["cpu", "prev_tid", "next_tid"]).to_pylist():
        if running.get(row["cpu"], row["prev_tid"]) != row["prev_tid"]:
            tids.add(running[row["cpu"]])
        running[row["cpu"]] = row["next_tid"]
    return tids


def woken_while_leaving(trace: Trace) -> set[int]:
    """Return the tasks that went to sleep and got a CPU without a wakeup between: perf does not count that wait."""
    events = [(row["time_ns"], row["tid"], "wake") for row in trace.wakeups.select(["time_ns", "tid"]).to_pylist()]
    for row in trace.switches.select(["time_ns", "prev_tid", "prev_state", "next_tid"]).to_pylist():
        events.append((row["time_ns"], row["prev_tid"], "run" if row["prev_state"] in ("R", "R+") else "sleep"))
        events.append((row["time_ns"], row["next_tid"], "in"))
    last: dict[int, str] = {}
    tids = set()
    for _, tid, kind in sorted(events, key=lambda event: event[0]):
        if (last.get(tid), kind) == ("sleep", "in"):
            tids.add(tid)
        last[tid] = kind
    return tids


def test_run_times_are_those_of_perf_sched_timehist(hostile_recording: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    ours = {row["tid"]: row for row in summarize(hostile_recording).tasks.to_pylist()}
    tasks = tasks_of_the_load(trace) & born(trace) - reaped_early(trace)
    printed = {
        int(line[1]): line for line in _TIMEHIST.finditer(perf("timehist", "-s", "-M", "-i", str(hostile_recording)))
    }
    assert len(tasks & set(printed)) >= len(NAMES) // 2
    for tid in tasks & set(printed):
        row, line = ours[tid], printed[tid]
        assert (row["runs"], row["migrations"]) == (int(line[2]), int(line[8])), row
        for name, group in (("run_ns", 3), ("run_min_ns", 4), ("run_mean_ns", 5), ("run_max_ns", 6)):
            assert row[name] / 1e6 == pytest.approx(float(line[group]), abs=ROUNDING_MS), (name, row)
        assert row["run_error_percent"] == pytest.approx(float(line[7]), abs=0.01)


def test_delays_are_those_of_perf_sched_latency(hostile_recording: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    woken = trace.wakeups.filter(pc.not_equal(trace.wakeups["kind"].cast("string"), "waking"))
    vars(trace)["wakeups"] = woken  # this perf uses sched_wakeup alone
    ours = {row["tid"]: row for row in task_summary(trace).to_pylist()}
    preempted = pc.equal(trace.switches["prev_state"].cast("string"), "R+")
    odd = set(trace.switches.filter(preempted)["prev_tid"].to_pylist())  # perf does not count their waits
    printed = {int(line[1]): line for line in _LATENCY.finditer(perf("latency", "-p", "-i", str(hostile_recording)))}
    odd |= tasks_whose_leaving_was_lost(trace) | woken_while_leaving(trace)
    compared = [tid for tid in printed if tid in ours and tid in born(trace) - odd]
    assert len(compared) >= 5
    for tid in compared:
        row, line = ours[tid], printed[tid]
        assert row["delays"] == int(line[3]), row
        expected = [float(line[group]) for group in (2, 4, 5)]
        actual = [row[name] / 1e6 for name in ("runtime_ns", "delay_mean_ns", "delay_max_ns")]
        assert actual == pytest.approx(expected, abs=ROUNDING_MS), row
        if row["delay_max_ns"]:
            assert row["delay_max_from_ns"] / 1e9 == pytest.approx(float(line[6]), abs=2e-6), row


def test_chain_breaks_are_what_perf_calls_context_switch_bugs(hostile_recording: Path) -> None:
    printed = re.search(rb"context switch bugs \((\d+) out of", perf("latency", "-i", str(hostile_recording)))
    assert harness.trace.read(hostile_recording).quality.chain_breaks == (int(printed[1]) if printed else 0)


def test_every_nanosecond_of_a_cpu_is_busy_or_idle(hostile_recording: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    for row in summarize(hostile_recording).cpus.to_pylist():
        times = [switch["time_ns"] for switch in trace.switches.to_pylist() if switch["cpu"] == row["cpu"]]
        assert row["busy_ns"] + row["idle_ns"] == times[-1] - times[0]
        assert row["switches"] == len(times)
        assert 1 <= row["runnable_mean"] <= row["runnable_max"]


def test_contested_and_runnable_counts_are_those_of_the_slices(nginx_recording: Path) -> None:
    trace = harness.trace.read(nginx_recording)
    slices = harness.trace.slices(trace)
    (row,) = summarize(nginx_recording).cpus.to_pylist()
    busy = [slice_row for slice_row in slices.to_pylist() if slice_row["tid"] != 0]
    assert row["contested"] == sum(slice_row["contested"] for slice_row in slices.to_pylist())
    assert row["runnable_mean"] == pytest.approx(sum(len(one["runnable"]) for one in busy) / len(busy))
    assert row["runnable_max"] == max(len(one["runnable"]) for one in busy)


def shown(summary: Summary, limit: int = 20) -> str:
    out = io.StringIO()
    Console(file=out, width=160, color_system=None).print(render(summary, limit))
    return out.getvalue()


def test_a_summary_can_be_written_as_json(nginx_recording: Path) -> None:
    document = json.loads(json.dumps(summarize(nginx_recording).to_dict()))
    assert document["quality"]["samples"] == 15_638
    assert document["quality"]["whole"] is False
    assert {row["comm"] for row in document["tasks"][:2]} == {"ab", "nginx"}
    assert [row["cpu"] for row in document["cpus"]] == [1]


def test_a_summary_shows_the_tasks_the_cpus_and_what_is_wrong(nginx_recording: Path) -> None:
    text = shown(summarize(nginx_recording), limit=3)
    assert "15,638 in 0.082 s, clock perf" in text
    assert "no: 7 breaks in the chain of switches" in text
    assert "Tasks (3 of" in text
    assert "nginx" in text


def test_names_that_look_like_markup_are_shown_unchanged(hostile_recording: Path) -> None:
    assert "[bold]x[/b]" in shown(summarize(hostile_recording), limit=10_000)


def test_damage_is_shown(nginx_recording: Path, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(nginx_recording.read_bytes()[:100_000])
    text = shown(summarize(tmp_path / "perf.data", formats_from=nginx_recording))
    assert re.search(r"sound +no: .*\bcut\b", text)


def assert_summary_of_tables(path: Path, **options: int) -> None:
    summary, trace = summarize(path, **options), harness.trace.read(path)
    assert_summed_up(summary.by_task, summary.by_cpu, trace, LOOKAHEAD)
    assert (summary.tasks.schema, summary.cpus.schema) == (TASK_SCHEMA, CPU_SCHEMA)
    assert (summary.quality, summary.header) == (trace.quality, trace.header)


@pytest.mark.parametrize("which", ["nginx_recording", "hostile_recording", "lossy_recording", "shifted_recording"])
@pytest.mark.parametrize(("chunk_bytes", "release_rows"), [(1 << 16, 100), (4 << 20, 200_000)])
def test_a_recording_added_up_in_parts_has_the_numbers_of_its_tables(
    which: str, chunk_bytes: int, release_rows: int, request: pytest.FixtureRequest
) -> None:
    assert_summary_of_tables(request.getfixturevalue(which), chunk_bytes=chunk_bytes, release_rows=release_rows)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--threads",), ("-z",)], ids=" ".join)
def test_folders_and_compressed_recordings_are_added_up(options: tuple[str, ...], tmp_path: Path) -> None:
    recording = record(tmp_path / "perf.data", *options, *MORE_EVENTS, rounds=8)
    assert_summary_of_tables(recording, chunk_bytes=1 << 16, release_rows=100)


@pytest.mark.parametrize("records", [20, 60])
def test_a_recording_with_hardly_any_switches_is_added_up(records: int, nginx_recording: Path, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(shortened(nginx_recording.read_bytes(), records))
    assert_summary_of_tables(tmp_path / "perf.data")


SUMMARIZE = """
import sys
from harness.trace.summary import summarize
summarize(sys.argv[1])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], "numpy" in sys.modules or "pyarrow" in sys.modules)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file_and_neither_numpy_nor_arrow_is_imported(tmp_path: Path) -> None:
    peaks = []
    for samples in (400_000, 1_600_000):
        long_recording(tmp_path / "perf.data", samples)
        command = [sys.executable, "-c", SUMMARIZE, str(tmp_path / "perf.data")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)
        peak, imports = done.stdout.split()
        assert imports == "False"
        peaks.append(int(peak))  # KiB
    assert peaks[1] < 80 << 10
    assert peaks[1] - peaks[0] < 10 << 10


READ_WITH_LITTLE_MEMORY = """
import resource, sys
from harness.errors import TraceError
from harness.trace import read
read(sys.argv[1])
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), resource.RLIM_INFINITY))
try:
    print(read(sys.argv[2]))
except TraceError as error:
    print(error)
"""


@pytest.mark.slow
def test_too_little_memory_is_a_trace_error_that_names_the_command_that_needs_least(
    nginx_recording: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.data"
    large.write_bytes(repeated(nginx_recording.read_bytes(), times=60))
    done = subprocess.run(
        [sys.executable, "-c", READ_WITH_LITTLE_MEMORY, str(nginx_recording), str(large)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.stdout.startswith(f"{large}: there is not enough memory for this recording"), done.stderr
    assert "harness trace convert" in done.stdout
