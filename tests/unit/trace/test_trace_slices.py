"""Slices and runnable sets of small streams whose answers are known, and of a real one against a plain simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.trace
from harness.trace.slicing import Slicer, slice_table
from harness.trace.states import is_runnable
from harness.trace.tables import SCHEMAS

Row = dict[str, Any]


def switch(time: int, prev: int, state: str, following: int, cpu: int = 0) -> Row:
    names = {"prev_comm": f"t{prev}", "next_comm": f"t{following}", "prev_prio": 120, "next_prio": 120}
    return {
        "time_ns": time,
        "cpu": cpu,
        "prev_tid": prev,
        "prev_state": state,
        "next_tid": following,
        **names,
    }


def wake(time: int, tid: int, cpu: int = 0, kind: str = "waking") -> Row:
    return {"time_ns": time, "cpu": 0, "kind": kind, "comm": f"t{tid}", "tid": tid, "prio": 120, "target_cpu": cpu}


def move(time: int, tid: int, orig: int, dest: int) -> Row:
    return {"time_ns": time, "cpu": 0, "comm": f"t{tid}", "tid": tid, "prio": 120, "orig_cpu": orig, "dest_cpu": dest}


def cut(switches: list[Row], wakeups: list[Row] = (), moves: list[Row] = (), **options: bool) -> list[Row]:  # type: ignore[assignment]
    tables = [
        pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])
        for name, rows in (("switches", switches), ("wakeups", wakeups), ("migrations", moves))
    ]
    return slice_table(*tables, **options).to_pylist()


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


def test_shifted_states_are_set_right() -> None:
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


def simulate(switches: list[Row], wakeups: list[Row], moves: list[Row] = ()) -> list[list[int]]:  # type: ignore[assignment]
    """The runnable sets of one CPU, event by event, with no lookahead; wakeups come first within one time."""
    events = sorted([*wakeups, *moves, *switches], key=lambda row: (row["time_ns"], "next_tid" in row))
    waiting: dict[int, int] = {}
    running, found = switches[0]["prev_tid"] if switches else 0, []
    for place, row in enumerate(events):
        if "dest_cpu" in row:
            waiting.pop(row["tid"], None)
            continue
        if "kind" in row:
            if row["tid"] != running:
                waiting.setdefault(row["tid"], place)
            continue
        if row["prev_tid"] and is_runnable(row["prev_state"]):
            waiting[row["prev_tid"]] = place
        picked = [row["next_tid"]] if row["next_tid"] not in waiting else []
        found.append(sorted([*waiting, *picked]))
        waiting.pop(row["next_tid"], None)
        running = row["next_tid"]
    return found


def test_a_real_recording_gives_the_sets_of_a_plain_simulation(nginx_recording: Path) -> None:
    trace = harness.trace.read(nginx_recording)
    rows = harness.trace.slices(trace).to_pylist()
    switches = trace.switches.to_pylist()
    wakeups = [row for row in trace.wakeups.to_pylist() if row["target_cpu"] == 1]
    simulated = simulate(switches, wakeups, trace.migrations.to_pylist())
    expected = dict(zip([row["time_ns"] for row in switches], simulated, strict=True))
    differing = [row for row in rows if sorted(row["runnable"]) != expected[row["start_ns"]]]
    assert differing == []
    assert len(rows) == len(switches) - 1 - trace.quality.chain_breaks


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """A valid one-CPU stream: each switch begins with the task that runs, and only sleepers are woken."""
    switches, wakeups = [], []
    running, asleep, ready = 0, set(range(1, 5)), set()
    for step in range(draw(st.integers(0, 30))):
        time = 10 * (step + 1)
        for tid in sorted(draw(st.sets(st.sampled_from(sorted(asleep)))) if asleep else []):
            wakeups.append(wake(time - 5, tid))
            ready.add(tid)
        asleep -= ready
        stays = running != 0 and draw(st.booleans())
        choices = sorted(ready) or ([0] if running else [])
        if not choices:
            continue
        following = draw(st.sampled_from(choices))
        switches.append(switch(time, running, "R" if stays or not running else "S", following))
        if running:
            (ready if stays else asleep).add(running)
        ready.discard(following)
        running = following
    return switches, wakeups


@settings(max_examples=200, deadline=None)
@given(streams())
def test_sets_of_valid_streams_are_those_of_a_plain_simulation(stream: tuple[list[Row], list[Row]]) -> None:
    switches, wakeups = stream
    rows = cut(switches, wakeups)
    assert [sorted(row["runnable"]) for row in rows] == simulate(switches, wakeups)[: len(rows)]
    assert len(rows) == max(0, len(switches) - 1)
    assert all(row["tid"] in row["runnable"] for row in rows)


def in_blocks(tables: list[pa.Table], edges: list[int], shifted: bool = False) -> list[Row]:
    """The slices of blocks that end before the given times, each with a look at the next one."""
    blocks = []
    for low, high in zip([-1, *edges], [*edges, 1 << 62], strict=True):
        times = [table["time_ns"] for table in tables]
        kept = [pc.and_(pc.greater_equal(time, low), pc.less(time, high)) for time in times]
        blocks.append([table.filter(mask) for table, mask in zip(tables, kept, strict=True)])
    slicer, rows = Slicer(shifted), []
    for place, block in enumerate(blocks):
        ahead = (blocks[place + 1][0], blocks[place + 1][1]) if place + 1 < len(blocks) else None
        rows += slicer.feed(*block, ahead=ahead).to_pylist()
    return sorted(rows, key=lambda row: (row["start_ns"], row["cpu"]))


@pytest.mark.parametrize("size", [40, 1000])
@pytest.mark.parametrize("which", ["nginx_recording", "hostile_recording"])
def test_slices_cut_in_blocks_are_those_cut_at_once(which: str, size: int, request: pytest.FixtureRequest) -> None:
    trace = harness.trace.read(request.getfixturevalue(which))
    tables = [trace.switches, trace.wakeups, trace.migrations]
    edges = trace.switches["time_ns"].to_pylist()[size::size]
    expected = sorted(harness.trace.slices(trace).to_pylist(), key=lambda row: (row["start_ns"], row["cpu"]))
    assert in_blocks(tables, edges) == expected


@settings(max_examples=200, deadline=None)
@given(streams(), st.lists(st.integers(0, 320), max_size=3))
def test_valid_streams_cut_in_blocks_give_the_same_slices(
    stream: tuple[list[Row], list[Row]], edges: list[int]
) -> None:
    names = ("switches", "wakeups", "migrations")
    tables = [pa.Table.from_pylist(rows, schema=SCHEMAS[name]) for name, rows in zip(names, (*stream, []), strict=True)]
    assert in_blocks(tables, sorted(edges)) == cut(*stream)


times = st.integers(0, 40)
tids = st.integers(0, 5)
any_switches = st.lists(st.builds(switch, times, tids, st.sampled_from(["R", "R+", "S"]), tids, st.integers(0, 2)))
any_wakes = st.lists(st.builds(wake, times, tids, st.integers(0, 2)))
any_moves = st.lists(st.builds(move, times, tids, st.integers(0, 2), st.integers(0, 2)))


@settings(max_examples=200, deadline=None)
@given(any_switches, any_wakes, any_moves, st.booleans())
def test_any_stream_gives_sound_slices(switches: list[Row], wakes: list[Row], moves: list[Row], shifted: bool) -> None:
    ordered = [sorted(rows, key=lambda row: row["time_ns"]) for rows in (switches, wakes, moves)]
    rows = cut(*ordered, shifted_states=shifted)
    for row in rows:
        assert row["tid"] in row["runnable"]
        assert len(set(row["runnable"])) == len(row["runnable"])
        assert row["slice_ns"] >= 0
        assert row["wake_ns"] is None or row["wake_ns"] <= row["start_ns"]
        assert row["contested"] == (len([tid for tid in row["runnable"] if tid]) >= 2)
    assert [row["start_ns"] for row in rows] == sorted(row["start_ns"] for row in rows)
