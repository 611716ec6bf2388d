"""The text of `perf script` becomes the tables that `convert` writes, any other text a TraceError."""

from __future__ import annotations

import pytest
from imported import TEXTS, imported

from harness.errors import TraceError

WAKING = "              ab     7 [001]  10.000001: sched:sched_waking: comm=nginx pid=9 prio=120 target_cpu=001\n"
SWITCH = (
    "              ab     7 [001]  10.000002: sched:sched_switch: prev_comm=ab prev_pid=7 prev_prio=120 prev_state=S "
    "==> next_comm=nginx next_pid=9 next_prio=110\n"
)
BACK = (
    "           nginx     9 [001]  10.000009: sched:sched_switch: prev_comm=nginx prev_pid=9 prev_prio=110 "
    "prev_state=R+ ==> next_comm=ab next_pid=7 next_prio=120\n"
)
PLAIN = WAKING + SWITCH + BACK


def test_a_text_becomes_every_table() -> None:
    tables = imported(PLAIN).tables
    assert tables["wakeups"].to_pylist() == [
        {"time_ns": 10_000_001_000, "cpu": 1, "kind": "waking", "comm": "nginx", "tid": 9, "prio": 120, "target_cpu": 1}
    ]
    assert tables["slices"].to_pylist() == [
        {
            "start_ns": 10_000_002_000,
            "slice_ns": 7_000,
            "cpu": 1,
            "comm": "nginx",
            "tid": 9,
            "prio": 110,
            "end_state": "R+",
            "wake_ns": 10_000_001_000,
            "runnable": [9],
            "contested": False,
        }
    ]
    assert set(tables) == {"switches", "wakeups", "runtimes", "migrations", "forks", "execs", "exits", "slices"}


def test_names_with_newlines_are_read() -> None:
    result = imported(TEXTS / "hostile_names.script.txt")
    assert result.quality.counts["sched:sched_switch"] == result.switches.num_rows == 8
    assert {"two\\x0alines"} <= set(result.tables["runtimes"]["comm"].to_pylist())
    assert {"two\\x0alines"} <= set(result.switches["prev_comm"].to_pylist())


def test_callchains_are_passed_over() -> None:
    result = imported(PLAIN.encode() + (TEXTS / "callchains.script.txt").read_bytes())
    events = ("sched:sched_stat_runtime", "sched:sched_switch", "sched:sched_waking", "sched:sched_wakeup")
    assert result.quality.counts == dict(zip(events, (1, 2, 2, 1), strict=True))


def test_decimal_commas_and_vruntimes_are_read() -> None:
    runtimes = imported(TEXTS / "decimal_comma.script.txt").tables["runtimes"].to_pylist()
    assert runtimes[0]["time_ns"] == 198_323_826_000
    assert (runtimes[0]["runtime_ns"], runtimes[0]["vruntime_ns"]) == (1112789, 144004291795)


def test_lost_records_and_what_perf_says_of_losses_make_the_recording_not_whole() -> None:
    quality = imported(TEXTS / "lost_events.script.txt").quality
    assert (quality.lost_events, quality.whole) == (18128, False)  # by the percentage that perf prints
    without_stderr = PLAIN + "              ab     7 [001]  10.000010: PERF_RECORD_LOST lost 29\n" * 2
    assert imported(without_stderr).quality.lost_events == 58


@pytest.mark.parametrize("place", [5, 40, 60, 100, 130, 190, 260])
def test_a_warning_in_the_middle_of_a_line_is_taken_out_and_counts(place: int) -> None:
    warning = "Warning:\nProcessed 5922 events and lost 64 chunks!\n\nCheck IO/CPU overload!\n\n"
    result = imported(PLAIN[:place] + warning + PLAIN[place:])
    assert result.switches.to_pylist() == imported(PLAIN).switches.to_pylist()
    assert result.quality.lost_chunks == 64


def test_records_of_perf_itself_are_passed_over() -> None:
    records = "              ab     7 [001]  10.000010: PERF_RECORD_COMM: two\nlines:20656/20656\n"
    assert imported(PLAIN + records + WAKING.replace("10.000001", "10.000020")).quality.samples == 4


def test_a_warning_after_an_event_of_another_kind_counts() -> None:
    other = "              ab     7 [001]  10.000010: cycles: \n\nWarning:\nProcessed 9 events and lost 2 chunks!\n\n"
    assert imported(PLAIN + other).quality.lost_chunks == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("     7", "   7/7  ").replace("     9", "   9/9  "),
        lambda text: text.replace("[001] ", "[001] K.. "),
        lambda text: text.replace(": sched:", ":          1   sched:"),
        lambda text: text.replace(": prev", ":                     prev").replace(": comm", ":               comm"),
        lambda text: text.replace("\n", " ffffffff821facd8 __schedule\n"),
        lambda text: text.replace("\n", "\n\tffffffff821facd8 __schedule+0x1 ([kernel.kallsyms])\n\n"),
        lambda text: text.replace("sched:sched_", "sched:\x1b[01;31m\x1b[Ksched_\x1b[m\x1b[K"),
        lambda text: text.replace("=ab ", "=\x1b[01;31m\x1b[Kab\x1b[m\x1b[K "),
        lambda text: text.replace("10.0", "10,0"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "   \n"),
        lambda text: text.replace("\n", "\r\n", 1),
        lambda text: "# ========\n# hostname : vm\n#\nINFO: 0 of 3\n" + text + "\n\n",
        lambda text: text.replace("              ab     ", "").replace("           nginx     ", ""),
    ],
    ids=[
        "pid and tid", "misc", "period", "flags", "symbol", "callchain", "grep", "grep in a name", "decimal comma",
        "Windows", "blanks", "one return", "notes", "no name",
    ],
)  # fmt: skip
def test_other_fields_and_what_others_do_to_a_text_change_no_row(change: object) -> None:
    assert callable(change)
    plain, changed = imported(PLAIN), imported(change(PLAIN))
    assert {name: table.to_pylist() for name, table in changed.tables.items()} == {
        name: table.to_pylist() for name, table in plain.tables.items()
    }
    assert plain.quality.whole
    assert changed.quality.whole


def test_the_form_of_the_plugin_of_libtraceevent_is_read() -> None:
    plugin = (
        "              ab     7 [001]  10.000001: sched:sched_wakeup: nginx:9 [120] success=1 CPU:001\n"
        "              ab     7 [001]  10.000002: sched:sched_switch: ab:7 [120] S ==> nginx:9 [110]\n"
        "           nginx     9 [001]  10.000009: sched:sched_switch: nginx:9 [110] R+ ==> ab:7 [120]\n"
    )
    plain = imported(PLAIN.replace("sched_waking", "sched_wakeup"))
    for name, table in imported(plugin).tables.items():
        assert table.to_pylist() == plain.tables[name].to_pylist()


@pytest.mark.parametrize(
    "name",
    ["[bold]x[/b]", ":smile:", "\x1b[31mred", "two\nlines", "==> next_comm=x", "[000] 1.000: s", "a pid=1 prio=2"],
)
def test_a_name_of_any_form_is_kept(name: str) -> None:
    text = PLAIN.replace("=ab ", f"={name} ").replace("              ab ", f"{name:>16} ")
    escaped = name.replace("\x1b", "\\x1b").replace("\n", "\\x0a")
    assert imported(text).switches["prev_comm"].to_pylist() == [escaped, "nginx"]


def test_a_switch_away_from_another_task_than_the_last_is_a_break() -> None:
    quality = imported(PLAIN + SWITCH.replace("10.000002", "10.000020").replace("prev_pid=7", "prev_pid=8")).quality
    assert (quality.chain_breaks, quality.whole) == (1, False)


def test_events_that_perf_could_not_sort_are_sorted_and_counted() -> None:
    result = imported(WAKING + BACK + SWITCH)
    assert result.switches["prev_tid"].to_pylist() == [7, 9]
    assert (result.quality.inversions, result.quality.whole) == (1, True)
    assert any("goes back 1 time, first in line 3" in warning for warning in result.quality.warnings)


def test_a_text_of_time_differences_is_refused() -> None:
    text = PLAIN.replace("10.00000", "0.00000") * 20
    with pytest.raises(TraceError, match="times of this text go back") as caught:
        imported(text)
    assert "--deltatime" in str(caught.value)


def test_idle_tasks_that_leave_asleep_show_a_shifted_kernel() -> None:
    text = PLAIN + (
        "  swapper 0 [000] 10.000010: sched:sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=S "
        "==> next_comm=ab next_pid=7 next_prio=120\n"
    )
    shifted = imported(text.replace("prev_state=R+", "prev_state=S"))
    assert any("one bit too high" in warning for warning in shifted.quality.warnings)
    assert shifted.tables["slices"]["end_state"].to_pylist() == ["R"]
    assert shifted.switches["prev_state"].to_pylist() == ["S", "S", "S"]


def test_a_text_with_microseconds_or_without_wakeups_says_what_is_not_known() -> None:
    assert any("perf script --ns" in warning for warning in imported(PLAIN).quality.warnings)
    result = imported((SWITCH + BACK).replace(": sched:", "000: sched:"))
    assert result.tables["slices"]["runnable"].to_pylist() == [None]
    quality = result.quality
    assert quality.warnings[0] == "this text has no wakeups, so the runnable tasks and delays are not known"
    assert (quality.unrecorded, quality.run_queues, quality.whole) == (("wakeups",), False, True)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (PLAIN + "this was not printed by perf\n", 4, "no line of `perf script`"),
        (WAKING + "a line\n" + SWITCH + BACK, 2, "no line of `perf script`"),
        (PLAIN + SWITCH[:100] + "\n" + BACK, 4, "cannot be read"),
        (PLAIN + SWITCH[:100] + "\n" * 40 + BACK, 4, "cannot be read"),
        (PLAIN + SWITCH.strip() + " and more\n", 4, "cannot be read"),
        (PLAIN + SWITCH.replace("next_pid=9", "next_pid=9999999999") + BACK, 4, "cannot be read"),
        (PLAIN + WAKING[:50] + "\n", 4, "no line of `perf script`"),
        (PLAIN.replace(" [001]", ""), 1, "no CPU or no time"),
        (PLAIN + SWITCH.replace("10.000002: ", ""), 4, "no CPU or no time"),
    ],
)
def test_any_other_line_is_a_trace_error_with_its_number(text: str, line: int, why: str) -> None:
    with pytest.raises(TraceError, match=why) as caught:
        imported(text)
    assert str(caught.value.where).endswith(f"text:{line}")
    assert caught.value.expected
    assert caught.value.hint
