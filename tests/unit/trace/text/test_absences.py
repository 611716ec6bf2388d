"""Tasks that sleep, are woken or not, and wait, in rows of a text."""

from __future__ import annotations

from harness.trace.sleeps import Sleeps
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.text.absences import Absences
from harness.trace.text.rows import Row


def switch(time_ns: int, prev: int, state: str, following: int) -> Row:
    row = {"time_ns": time_ns, "prev_tid": prev, "prev_state": state, "next_tid": following}
    return tuple(row.get(name) for name in SCHEMAS["switches"].names)


def wakeup(time_ns: int, tid: int) -> Row:
    return tuple({"time_ns": time_ns, "tid": tid}.get(name) for name in SCHEMAS["wakeups"].names)


def sleeps(switches: list[Row], wakeups: list[Row], shifted: bool = False) -> Sleeps:
    absences = Absences(shifted)
    for time_ns in range(101):  # one time after the other, as if each were released alone
        absences.take(
            {
                name: [row for row in rows if row[0] == time_ns]
                for name, rows in (("switches", switches), ("wakeups", wakeups))
            }
        )
    return absences.sleeps(0, 100)


def test_a_sleep_that_ends_without_a_wakeup_is_counted() -> None:
    switches = [switch(1, 7, "S", 8), switch(3, 8, "D", 7), switch(5, 7, "S", 8)]
    assert sleeps(switches, [wakeup(2, 7)]) == Sleeps(ended=2, unwoken=1, forgotten=0)


def test_a_wakeup_at_the_time_of_the_switch_may_have_come_after_it() -> None:
    assert sleeps([switch(1, 7, "S", 8), switch(3, 8, "S", 7)], [wakeup(1, 7)]) == Sleeps(1, 0, 0)


def test_a_preempted_task_did_not_sleep() -> None:
    assert sleeps([switch(1, 7, "R+", 8), switch(3, 8, "R", 7)], []) == Sleeps(0, 0, 1)


def test_a_task_that_was_woken_long_before_the_end_and_never_ran_is_forgotten() -> None:
    assert sleeps([switch(1, 7, "S", 8)], [wakeup(2, 7)]) == Sleeps(0, 0, 1)
    assert sleeps([switch(1, 7, "S", 8)], [wakeup(95, 7)]) == Sleeps(0, 0, 0)


def test_shifted_states_are_read_as_they_are_meant() -> None:
    switches = [switch(1, 7, "D", 8), switch(3, 8, "S", 7)]  # S and R
    assert sleeps(switches, [], shifted=True) == Sleeps(1, 1, 1)
