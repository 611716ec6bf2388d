"""A slow and plain slicer: takes one event after the other by the rules of `harness.trace.runqueue.slicer`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.trace.tracepoint.task_state import is_runnable, true_state

Row = dict[str, Any]


@dataclass
class Wait:
    """The CPU on which a task waits, the time since when, and the time of its wakeup."""

    cpu: int
    since: int
    woken: int | None


@dataclass
class PlainSlicer:
    """Follows every task and CPU. `waiting` is in the order in which the waits began."""

    events: list[Row]
    shifted: bool
    lookahead: int
    waiting: dict[int, Wait] = field(default_factory=dict)
    woken: set[int] = field(default_factory=set)  # since they last left or got a CPU
    stays: dict[int, Row] = field(default_factory=dict)
    ended: list[Row] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self) -> list[Row]:
        for index, event in enumerate(self.events):
            if "kind" in event:
                self.wake(event["tid"], event["target_cpu"], event["time_ns"])
            elif "dest_cpu" in event:
                self.move(event["tid"], event["dest_cpu"])
            else:
                self.leave(index, event)
                self.pick(event)
        return sorted(self.ended, key=lambda row: (row["start_ns"], row["cpu"], row.pop("begun")))

    def wake(self, tid: int, cpu: int, time: int) -> None:
        if tid:
            self.woken.add(tid)
            self.waiting.setdefault(tid, Wait(cpu, time, time))

    def move(self, tid: int, cpu: int) -> None:
        if tid in self.waiting:
            wait = self.waiting.pop(tid)
            self.waiting[tid] = Wait(cpu, wait.since, wait.woken)

    def leave(self, index: int, event: Row) -> None:
        tid, cpu, time = event["prev_tid"], event["cpu"], event["time_ns"]
        state = true_state(event["prev_state"], self.shifted)
        runnable = is_runnable(state)
        unclear = tid and (self.shifted if runnable else tid in self.woken)
        waits = self.is_next_picked(tid, index) if unclear else runnable
        if self.shifted and state == "R+" and not waits:
            state = "I"
        stay = self.stays.pop(cpu, None)
        if stay and stay["tid"] == tid:
            self.ended.append({**stay, "slice_ns": time - stay["start_ns"], "end_state": state})
        if not tid:
            return
        self.waiting.pop(tid, None)
        if waits:
            self.waiting[tid] = Wait(cpu, time, None if runnable else time)
        self.woken.discard(tid)

    def is_next_picked(self, tid: int, index: int) -> bool:
        """Whether the task that leaves at event `index` is picked before anything but a migration happens to it."""
        if self.events[index]["next_tid"] == tid:
            return True
        for event in self.events[index + 1 : index + 1 + self.lookahead]:
            if "next_tid" in event and tid in (event["prev_tid"], event["next_tid"]):
                return event["prev_tid"] != tid
            if "kind" in event and event["tid"] == tid:
                return False
        return False

    def pick(self, event: Row) -> None:
        tid, cpu = event["next_tid"], event["cpu"]
        runnable = [task for task, wait in self.waiting.items() if wait.cpu == cpu]
        runnable += [tid] if tid not in runnable else []
        wait = self.waiting.pop(tid, None)
        self.woken.discard(tid)
        self.stays[cpu] = {
            "start_ns": event["time_ns"],
            "cpu": cpu,
            "comm": event["next_comm"],
            "tid": tid,
            "prio": event["next_prio"],
            "wake_ns": wait.woken if wait else None,
            "runnable": runnable,
            "contested": len([task for task in runnable if task]) >= 2,
            "begun": next(self.numbers),
        }


def plain_slices(
    switches: list[Row], wakeups: list[Row], moves: list[Row], shifted_states: bool = False, lookahead: int = 30_000
) -> list[Row]:
    """Return the slices of tables sorted by time, as rows."""
    by_cpu = sorted(switches, key=lambda row: row["cpu"])
    events = sorted([*wakeups, *moves, *by_cpu], key=lambda row: row["time_ns"])  # stable: kinds keep this order
    return PlainSlicer(events, shifted_states, lookahead).run()
