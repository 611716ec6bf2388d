"""The texts of trace-cmd and of ftrace itself become the tables that `perf script` gives of the same events."""

from __future__ import annotations

import re
from typing import Any

import pytest
from imported import TEXTS, imported

from harness.errors import TraceError

EXACT = (TEXTS / "exact.trace_cmd.txt").read_bytes()
_TASK = re.compile(rb"-(\d+ +\[\d+\] [\d.]+: )(sched_\w+: +)")


def as_perf_prints(text: bytes) -> bytes:
    text = _TASK.sub(lambda found: b" " + found[1] + b"sched:" + found[2], text)
    return text.replace(b"cpus=2\n", b"# nrcpus online : 2\n")


def rows(text: bytes, time: int = 1) -> dict[str, list[dict[str, Any]]]:
    tables = {name: table.to_pylist() for name, table in imported(text).tables.items() if name != "slices"}
    return {name: [{**row, "time_ns": round(row["time_ns"] / time)} for row in tables[name]] for name in tables}


def test_the_text_of_trace_cmd_becomes_what_that_of_perf_does() -> None:
    ours, theirs = imported(EXACT), imported(as_perf_prints(EXACT))
    assert {name: table.to_pylist() for name, table in ours.tables.items()} == {
        name: table.to_pylist() for name, table in theirs.tables.items()
    }
    assert ours.quality.counts == theirs.quality.counts
    assert ours.quality.samples == 40
    assert ours.header.nrcpus == 2


@pytest.mark.parametrize(("name", "unit_ns"), [("plugin", 1000), ("latency", 1)])
def test_other_options_of_trace_cmd_change_no_row_but_for_what_they_leave_out(name: str, unit_ns: int) -> None:
    text = (TEXTS / f"{name}.trace_cmd.txt").read_bytes()
    assert b"[120] R ==>" in text or b"[120] S ==>" in text  # a plugin printed it
    assert rows(text, unit_ns) == rows(EXACT.replace(b"prev_state=R+", b"prev_state=R"), unit_ns)
    warnings = " ".join(imported(text).quality.warnings)
    assert ("`trace-cmd report -t` prints nanoseconds" in warnings) == (unit_ns > 1)
    assert "their R also stands for R+" in warnings


def test_a_buffer_of_its_own_is_named_before_each_line() -> None:
    text = (TEXTS / "buffer.trace_cmd.txt").read_bytes()
    assert b"\ntexts: " in text
    assert rows(text) == rows(text.replace(b"texts:", b""))


def test_lost_events_are_counted() -> None:
    text = (TEXTS / "lost_events.ftrace.txt").read_bytes()
    assert imported(text).quality.lost_events == 594 + 437
    of_trace_cmd = text.replace(b"[LOST 594 EVENTS]", b"[594 EVENTS DROPPED]")
    assert imported(of_trace_cmd).quality.lost_events == 594 + 437
    unnumbered = imported(text.replace(b"LOST 594", b"LOST").replace(b"LOST 437 EVENTS", b"EVENTS DROPPED")).quality
    assert (unnumbered.lost_chunks, unnumbered.whole) == (2, False)


def test_a_buffer_that_was_overwritten_is_named() -> None:
    warnings = imported(TEXTS / "overwritten.ftrace.txt").quality.warnings
    assert any("13,277 earlier ones were overwritten" in warning for warning in warnings)


def test_thread_groups_change_no_row() -> None:
    text = (TEXTS / "thread_groups.ftrace.txt").read_bytes()
    assert rows(text) == rows(re.sub(rb" \( *[-\d]+\)", b"", text))


def test_a_few_breaks_in_the_chain_do_not_make_it_a_recording_of_some_tasks() -> None:
    stay = b"  a-1 [000] %d.000001: sched_switch: a:1 [120] S ==> b:2 [120]\n"
    back = b"  b-2 [000] %d.000002: sched_switch: b:2 [120] S ==> a:1 [120]\n"
    lost = b"  a-1 [000] %d.000003: sched_switch: a:1 [120] S ==> ghost:3 [120]\n"
    lines = [(stay + back + (lost if n % 20 == 9 else b"")).replace(b"%d", b"%d" % n) for n in range(1, 100)]
    assert imported(b"".join(lines)).quality.run_times


@pytest.mark.parametrize(
    ("change", "why", "hint"),
    [
        (lambda text: re.sub(rb"\] (\d+)\.(\d+):", rb"]\1\2:", text), "no CPU or no time", "trace-cmd report -t -N"),
        (lambda text: text.replace(b"==> ", b"").replace(b"target_cpu=", b"x="), "cannot be read", "trace-cmd report"),
        (lambda text: text.replace(b"cpus=2\n", b"cpus=2\nwhat\n"), "no line of `trace-cmd report`", "without `2>&1`"),
    ],
    ids=["--raw-ts", "-R", "another line"],
)
def test_what_cannot_be_read_is_named_with_the_command_to_use(change: Any, why: str, hint: str) -> None:
    with pytest.raises(TraceError, match=why) as caught:
        imported(change(EXACT))
    assert re.search(r"text:\d+$", str(caught.value.where))
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("           time    cpu  task name                       wait time\n", "perf sched timehist"),
        ("  Task                  |   Runtime ms  | Switches | Avg delay ms    |\n", "perf sched latency"),
        ("\nRuntime summary\n", "summary of `perf sched timehist`"),
        ("# To display the perf.data header info, please use --header\n#\n 53.33%  python\n", "perf report"),
        ("0x6a8@/x/perf.data [0x290]: event: 69\n", "perf script -D"),
        ("failed to open perf.data: No such file or directory\n", "an error that perf printed"),
        ("trace-cmd: No such file or directory\n", "an error that trace-cmd printed"),
        ("\x17\x08\x44tracing6\0", "a trace.dat file of trace-cmd"),
    ],
)
def test_other_texts_of_these_tools_are_named(start: str, what: str) -> None:
    with pytest.raises(TraceError, match=what) as caught:
        imported(start)
    assert "print " in str(caught.value.hint)
