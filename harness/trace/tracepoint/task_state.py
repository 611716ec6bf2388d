"""prev_state: numbers to the letters that the recording's own print format gives them, and what they mean.

Kernels 4.14 to 4.19 shift the reported state by one bit (mainline commit 3054426dc68e set it right), so a running
task shows as S and a sleeping one as D. The idle task always leaves the CPU runnable, so its rows tell.
"""

from __future__ import annotations

import re

from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.print_fmt import Unprintable, arguments

_TRUE_STATE = {"S": "R", "D": "S", "T": "D", "t": "T", "X": "t", "Z": "X", "P": "Z", "I": "P"}


class StateNames:
    """Numbers to letters for one sched_switch format; `failure` says why its print format cannot be followed."""

    def __init__(self, switch: TracepointFormat) -> None:
        self.failure = ""
        self._letters: dict[int, str] = {}
        try:
            self._parts = _state_arguments(switch.print_fmt)
        except (Unprintable, RecursionError) as error:
            self._parts, self.failure = [], str(error)

    def letters(self, state: int) -> str:
        """The letters of one number; the number in hexadecimal where the print format cannot be followed."""
        if state not in self._letters:
            self._letters[state] = self._print(state)
        return self._letters[state]

    def _print(self, state: int) -> str:
        try:
            text = "".join(str(part({"prev_state": state})) for part in self._parts)
        except (Unprintable, KeyError, RecursionError) as error:
            self.failure, text = str(error), ""
        return text or f"0x{state & 0xFFFFFFFFFFFFFFFF:x}"


def _state_arguments(print_fmt: str) -> list:
    """The arguments that are printed right behind `prev_state=`."""
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', print_fmt)
    before, found, after = (quoted[1] if quoted else "").partition("prev_state=")
    if not found:
        raise Unprintable("the print format does not print prev_state")
    first = before.count("%")
    strings = re.match(r"(?:%s)+", after)
    if not strings:
        raise Unprintable("prev_state is not printed as text")
    return arguments(print_fmt)[first : first + strings[0].count("%s")]


def may_be_shifted(os_release: str | None) -> bool:
    """Whether this kernel is one of those that report states shifted by one."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", os_release or "")
    return found is not None and (4, 14) <= (int(found[1]), int(found[2])) <= (4, 19)


def true_state(letters: str, shifted: bool) -> str:
    """The state that was meant: the same letters, or those one bit lower on a kernel that shifts them."""
    return _TRUE_STATE.get(letters, letters) if shifted else letters


def is_runnable(letters: str) -> bool:
    """Whether a task that left the CPU in this (true) state still wanted it."""
    return letters.startswith("R")
