from __future__ import annotations

from model.replay.cfs_readings import Readings
from model.replay.events import WAKING, WOKEN


def accounted() -> Readings:
    """Readings of a clock whose stamps are 3 us late; the last one was stamped 1,003,000 ns."""
    readings = Readings()
    for stamp_ns in (3_000, 503_000, 1_003_000):
        readings.clock.account(stamp_ns, 500_000)
    return readings


def test_each_wakeup_read_the_clock_shortly_before_its_stamp_and_each_waking_after() -> None:
    readings = accounted()
    readings.add(1_108_000, 7, WOKEN)
    readings.add(1_208_000, 8, WAKING)
    assert [wakeup.ran_ns for wakeup in readings.take()] == [100_000, 209_000]


def test_a_task_whose_waking_and_wakeup_are_both_traced_wakes_once() -> None:
    readings = accounted()
    readings.add(1_200_000, 7, WAKING)
    readings.add(1_208_000, 7, WOKEN)
    assert [wakeup.kind for wakeup in readings.take()] == [WOKEN]
    assert readings.take() == []


def test_the_delay_of_stamps_is_learnt_from_wakeups_that_make_the_running_task_leave() -> None:
    readings = accounted()
    readings.add(1_208_000, 7, WOKEN)
    (wakeup,) = readings.take()
    readings.learn(wakeup, 190_000)
    readings.add(1_208_000, 7, WOKEN)
    assert readings.take()[0].ran_ns == 199_500
