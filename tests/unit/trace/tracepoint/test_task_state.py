"""prev_state is printed as the recording's print format prints it, and corrected on kernels that shift it."""

from __future__ import annotations

import pytest

from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.task_state import StateNames, may_be_shifted, true_state

FLAGS = '{ 0x01, "S" }, { 0x02, "D" }, { 0x04, "T" }, { 0x08, "t" }, { 0x10, "X" }, { 0x20, "Z" }, { 0x80, "I" }'
SWITCH = (
    '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s", REC->prev_comm, REC->prev_pid, '
    "REC->prev_prio, (REC->prev_state & ((((0x7f) + 1) << 1) - 1)) ? "
    f'__print_flags(REC->prev_state & ((((0x7f) + 1) << 1) - 1), "|", {FLAGS}) : "R", '
    'REC->prev_state & (((0x7f) + 1) << 1) ? "+" : "", REC->next_comm'
)


def state_names(print_fmt: str) -> StateNames:
    return StateNames(TracepointFormat("sched", "sched_switch", 314, {}, print_fmt))


@pytest.mark.parametrize(
    ("state", "letters"),
    [(0, "R"), (1, "S"), (2, "D"), (0x100, "R+"), (0x82, "D|I"), (0x101, "S+"), (0x40, "0x40"), (0x80, "I")],
)
def test_states_are_printed_as_the_print_format_says(state: int, letters: str) -> None:
    assert state_names(SWITCH).letters(state) == letters


def test_a_print_format_that_cannot_be_followed_gives_hexadecimal_and_the_reason() -> None:
    states = state_names('"prev_state=%s", __print_symbolic(REC->prev_state)')
    assert states.letters(2) == "0x2"
    assert "__print_symbolic" in states.failure


@pytest.mark.parametrize(
    ("release", "shifted"),
    [("4.15.0-58-generic", True), ("4.13.0", False), ("4.20.1", False), ("6.1.0-18-amd64", False), (None, True)],
)
def test_kernels_that_may_shift_states_are_known_by_their_release(release: str | None, shifted: bool) -> None:
    assert may_be_shifted(release) == shifted


def test_a_shifted_state_is_corrected() -> None:
    assert [true_state(letters, True) for letters in ("S", "D", "R+", "t")] == ["R", "S", "R+", "T"]
    assert true_state("D", False) == "D"
