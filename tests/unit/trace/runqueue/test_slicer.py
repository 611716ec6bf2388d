"""Slices and runnable sets of small streams whose answers are known, and of real ones against the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from event_rows import TABLES, Row, move, switch, tables_of, wake
from plain_slices import plain_slices

import harness.trace
from harness.trace.reader import Trace
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.runqueue.slicer import slice_table


def cut(
    switches: Sequence[Row], wakeups: Sequence[Row] = (), moves: Sequence[Row] = (), shifted_states: bool = False
) -> list[Row]:
    return slice_table(*tables_of(switches, wakeups, moves), shifted_states=shifted_states).to_pylist()


def sets(rows: list[Row]) -> list[tuple[list[int], bool]]:
    return [(row["runnable"], row["contested"]) for row in rows]


def test_a_slice_reaches_from_the_switch_in_to_the_switch_out() -> None:
    (row,) = cut([switch(100, 0, "R", 7), switch(130, 7, "S", 0)])
    assert row == {
        "start_ns": 100,
        "slice_ns": 30,
        "cpu": 0,
        "comm": "t7",
        "tid": 7,
        "prio": 120,
        "end_state": "S",
        "wake_ns": None,
        "runnable": [7],
        "contested": False,
    }


def test_a_woken_task_waits_from_its_wakeup_and_a_preempted_one_from_its_switch_out() -> None:
    rows = cut(
        [switch(10, 0, "R", 1), switch(20, 1, "R+", 2), switch(30, 2, "S", 1), switch(40, 1, "S", 0)],
        [wake(5, 1), wake(15, 2)],
    )
    assert sets(rows) == [([1], False), ([2, 1], True), ([1], False)]
    assert [row["wake_ns"] for row in rows] == [5, 15, None]
    assert [row["end_state"] for row in rows] == ["R+", "S", "S"]


def test_a_wakeup_of_a_running_task_does_not_make_it_wait() -> None:
    rows = cut(
        [switch(10, 0, "R", 1), switch(20, 1, "S", 2), switch(30, 2, "S", 0), switch(40, 0, "R", 3)],
        [wake(5, 1), wake(6, 2), wake(12, 1)],
    )
    assert sets(rows)[1] == ([2], False)


def test_a_task_woken_while_it_goes_to_sleep_waits_from_there() -> None:
    rows = cut(
        [switch(10, 0, "R", 1), switch(20, 1, "S", 2), switch(30, 2, "S", 1), switch(40, 1, "S", 0)],
        [wake(5, 1), wake(6, 2), wake(19, 1)],
    )
    assert sets(rows)[1:] == [([2, 1], True), ([1], False)]
    assert rows[2]["wake_ns"] == 20


@pytest.mark.parametrize(("between", "expected"), [(1, [[1, 2], [2, 1], [1]]), (2, [[1, 2], [2], [1]])])
def test_the_lookahead_for_a_task_woken_while_it_goes_to_sleep_is_bounded(
    between: int, expected: list[list[int]]
) -> None:
    switches = [switch(10, 0, "R", 1), switch(20, 1, "S", 2), switch(30, 2, "S", 1), switch(40, 1, "S", 0)]
    wakeups = [wake(5, 1), wake(6, 2), wake(19, 1), *(wake(21 + place, 7 + place, cpu=1) for place in range(between))]
    rows = slice_table(*tables_of(switches, wakeups, []), lookahead=2).to_pylist()
    assert [row["runnable"] for row in rows] == expected


def test_a_task_that_leaves_a_cpu_no_longer_waits_even_if_its_pick_was_lost() -> None:
    rows = cut(
        [
            switch(10, 0, "R", 1),
            switch(20, 1, "S", 2),
            switch(30, 9, "S", 3),
            switch(40, 3, "S", 4),
            switch(50, 4, "S", 0),
        ],
        [wake(5, 9)],
    )
    assert [row["runnable"] for row in rows] == [[9, 1], [3], [4]]


def test_a_task_whose_switch_out_was_lost_waits_from_its_wakeup() -> None:
    rows = cut(
        [switch(10, 0, "R", 1), switch(20, 8, "S", 2), switch(30, 2, "S", 1), switch(40, 1, "S", 0)], [wake(15, 1)]
    )
    assert [row["runnable"] for row in rows] == [[1, 2], [1]]
    assert rows[1]["wake_ns"] == 15


def test_switches_of_one_time_keep_the_order_of_their_table() -> None:
    rows = cut(
        [
            switch(10, 0, "R", 1),
            switch(20, 1, "R", 2),
            switch(20, 2, "R", 1),
            switch(30, 1, "R", 2),
            switch(40, 2, "S", 0),
        ]
    )
    assert [(row["tid"], row["slice_ns"], row["runnable"]) for row in rows] == [
        (1, 10, [1]),
        (2, 0, [1, 2]),
        (1, 10, [1, 2]),
        (2, 10, [2, 1]),
    ]


def test_the_idle_task_is_a_candidate_only_where_it_was_picked() -> None:
    rows = cut(
        [switch(10, 1, "S", 0), switch(20, 0, "R", 2), switch(30, 2, "S", 0), switch(40, 0, "R", 3)], [wake(15, 2)]
    )
    assert sets(rows) == [([0], False), ([2], False), ([0], False)]


def test_an_idle_pick_with_two_waiting_tasks_is_contested() -> None:
    rows = cut([switch(10, 1, "S", 0), switch(20, 0, "R", 2)], [wake(5, 2), wake(6, 3)])
    assert sets(rows) == [([2, 3, 0], True)]


def test_a_migration_moves_a_waiting_task_to_another_cpu() -> None:
    rows = cut(
        [
            switch(10, 0, "R", 1, cpu=0),
            switch(10, 0, "R", 2, cpu=1),
            switch(20, 1, "S", 3, cpu=0),
            switch(20, 2, "S", 4, cpu=1),
            switch(30, 3, "S", 0, cpu=0),
            switch(30, 4, "S", 9, cpu=1),
            switch(40, 9, "S", 0, cpu=1),
        ],
        [wake(5, 9, cpu=0), wake(6, 3), wake(6, 4, cpu=1)],
        [move(15, 9, 0, 1)],
    )
    by_start = {(row["start_ns"], row["cpu"]): row["runnable"] for row in rows}
    assert by_start == {(10, 0): [9, 3, 1], (10, 1): [4, 2], (20, 0): [3], (20, 1): [4, 9], (30, 1): [9]}


def test_a_task_picked_on_another_cpu_without_a_migration_waits_no_longer() -> None:
    rows = cut(
        [
            switch(10, 0, "R", 1, cpu=0),
            switch(15, 0, "R", 9, cpu=1),
            switch(20, 1, "S", 3, cpu=0),
            switch(30, 3, "S", 0, cpu=0),
            switch(31, 9, "S", 0, cpu=1),
        ],
        [wake(5, 9, cpu=0), wake(5, 1), wake(6, 3)],
    )
    assert [row["runnable"] for row in rows] == [[9, 1, 3], [9], [3]]


def test_a_stay_whose_end_was_lost_is_left_out() -> None:
    rows = cut([switch(10, 0, "R", 1), switch(20, 2, "S", 3), switch(30, 3, "S", 0)])
    assert [row["tid"] for row in rows] == [3]


def test_the_last_stay_on_each_cpu_is_left_out() -> None:
    assert cut([switch(10, 0, "R", 1), switch(11, 0, "R", 2, cpu=1)]) == []


def test_no_switches_give_no_slices() -> None:
    assert cut([]) == []


def test_shifted_states_are_corrected() -> None:
    rows = cut(
        [
            switch(10, 0, "S", 1),
            switch(20, 1, "S", 2),
            switch(30, 2, "D", 1),
            switch(40, 1, "R+", 0),
            switch(50, 0, "S", 1),
        ],
        [wake(5, 1), wake(6, 2)],
        shifted_states=True,
    )
    assert [row["end_state"] for row in rows] == ["R", "S", "R+", "R"]
    assert [row["runnable"] for row in rows] == [[1, 2], [2, 1], [1], [1, 0]]


def test_on_a_shifted_kernel_an_idle_thread_that_is_woken_was_asleep() -> None:
    rows = cut(
        [switch(10, 0, "S", 1), switch(20, 1, "R+", 2), switch(30, 2, "D", 1), switch(40, 1, "R+", 0)],
        [wake(5, 1), wake(6, 2), wake(25, 1)],
        shifted_states=True,
    )
    assert [row["runnable"] for row in rows] == [[1, 2], [2], [1]]
    assert rows[2]["wake_ns"] == 25
    assert [row["end_state"] for row in rows] == ["I", "S", "I"]  # nothing shows that task 1 ran again


def test_on_a_real_shifted_kernel_a_task_slept_exactly_if_it_is_woken_before_it_runs_again(
    shifted_recording: Path,
) -> None:
    by_task: dict[str, list[Row]] = {}
    for row in harness.trace.slices(harness.trace.read(shifted_recording)).to_pylist():
        by_task.setdefault(row["comm"], []).append(row)
    by_task.pop("perf415")  # its own wakeups are not recorded
    for rows in by_task.values():
        slept = [row["end_state"] not in ("R", "R+") for row in rows[:-1]]
        assert slept == [row["wake_ns"] is not None for row in rows[1:]]
    assert {"I"} < {row["end_state"] for row in by_task["rcu_sched"]}


def test_idle_kernel_threads_of_a_shifted_kernel_are_not_counted_as_preempted(shifted_recording: Path) -> None:
    summary = harness.trace.summarize(shifted_recording)
    (thread,) = (row for row in summary.tasks.to_pylist() if row["comm"] == "rcu_sched")
    assert thread["runs"] > 100
    assert thread["preemptions"] <= 1
    assert sum(summary.tasks["preemptions"].to_pylist()) == summary.cpus["preemptions"][0].as_py()


def rows_of(trace: Trace) -> list[list[Row]]:
    return [getattr(trace, name).to_pylist() for name in TABLES]


@pytest.mark.parametrize("which", ["nginx_recording", "hostile_recording"])
def test_slices_of_a_real_recording_equal_those_of_the_plain_slicer(which: str, request: pytest.FixtureRequest) -> None:
    trace = harness.trace.read(request.getfixturevalue(which))
    assert harness.trace.slices(trace).to_pylist() == plain_slices(*rows_of(trace), lookahead=LOOKAHEAD)


def test_all_switches_of_a_whole_recording_but_the_last_begin_a_slice(nginx_recording: Path) -> None:
    trace = harness.trace.read(nginx_recording)
    assert harness.trace.slices(trace).num_rows == trace.switches.num_rows - 1 - trace.quality.chain_breaks
