"""Deadlines on clocks that stand still, run slowly and leap."""

from __future__ import annotations

import threading

import pytest
import waiting

from harness.guest import deadline
from harness.guest.deadline import Deadline, Watchdog


class Clock:
    def __init__(self) -> None:
        self.now, self.asked = 100.0, 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "CHECK_S", 0.01)


def test_the_seconds_left_are_those_of_the_clock() -> None:
    clock = Clock()
    limit = Deadline(30.0, clock)
    assert limit.left() == 30.0
    clock.now += 12.0
    assert limit.left() == 18.0
    clock.now += 1e9
    assert limit.left() == 0.0


def test_a_watchdog_does_nothing_while_the_clock_stands_still() -> None:
    clock, acted = Clock(), threading.Event()
    with Watchdog(Deadline(0.001, clock), acted.set) as watchdog:
        waiting.until(lambda: clock.asked > 20)
    assert not acted.is_set()
    assert not watchdog.fired


def test_a_watchdog_acts_when_the_clock_has_passed_the_deadline() -> None:
    clock, acted = Clock(), threading.Event()
    with Watchdog(Deadline(3600.0, clock), acted.set) as watchdog:
        clock.now += 3601.0
        assert acted.wait(waiting.LIMIT_S)
    assert watchdog.fired


def test_a_block_that_ends_in_time_leaves_no_thread() -> None:
    acted = threading.Event()
    with Watchdog(Deadline(3600.0, Clock()), acted.set):
        pass
    waiting.until(lambda: "watchdog" not in [thread.name for thread in threading.enumerate()])
    assert not acted.is_set()
