"""Names prev_state: from its number to the letters that the recording's print format gives it, and their meaning.

native/sample.c (`prev_state_number`) reads the numbers from the samples. `state_reading` decides whether the kernel
reports them shifted by one bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.print_fmt import Expression, Unprintable, arguments

PREEMPTED, IDLE_THREAD = "R+", "I"
_TRUE_STATE = {"S": "R", "D": "S", "T": "D", "t": "T", "X": "t", "Z": "X", "P": "Z", "I": "P"}


class StateNames:
    """The letters of state numbers in one sched_switch format; `failure`: why its print format cannot be followed."""

    def __init__(self, switch: TracepointFormat) -> None:
        self.failure = ""
        self._letters: dict[int, str] = {}
        try:
            self._arguments = _state_arguments(switch.print_fmt)
        except (Unprintable, RecursionError) as error:
            self._arguments, self.failure = [], str(error)

    def letters(self, state: int) -> str:
        """Return the letters of one number, or its hexadecimal digits if the print format cannot be followed."""
        if state not in self._letters:
            self._letters[state] = self._print(state)
        return self._letters[state]

    def _print(self, state: int) -> str:
        try:
            text = "".join(str(argument({"prev_state": state})) for argument in self._arguments)
        except (Unprintable, KeyError, RecursionError) as error:
            self.failure, text = str(error), ""
        return text or f"0x{state & 0xFFFFFFFFFFFFFFFF:x}"


def state_names(formats: Mapping[int, TracepointFormat] | None) -> StateNames | None:
    """Return the names of states in the format of sched_switch; None for a recording without that format."""
    for tracepoint in (formats or {}).values():
        if (tracepoint.system, tracepoint.name) == ("sched", "sched_switch"):
            return StateNames(tracepoint)
    return None


def _state_arguments(print_fmt: str) -> list[Expression]:
    """Return the arguments that are printed directly after `prev_state=`."""
    format_string = re.match(r'"((?:[^"\\]|\\.)*)"', print_fmt)
    before, label, after = (format_string[1] if format_string else "").partition("prev_state=")
    if not label:
        raise Unprintable("the print format does not print prev_state")
    first = before.count("%")
    strings = re.match(r"(?:%s)+", after)
    if not strings:
        raise Unprintable("prev_state is not printed as text")
    return arguments(print_fmt)[first : first + strings[0].count("%s")]


def may_be_shifted(os_release: str | None) -> bool:
    """Whether kernels of this version, or of one that is not known, may report states shifted by one bit."""
    version = re.match(r"(\d{1,4})\.(\d{1,4})", os_release or "")
    return version is None or (4, 14) <= (int(version[1]), int(version[2])) <= (4, 19)


def true_state(letters: str, shifted: bool) -> str:
    """Return the state that was meant: the same letters, or those one bit lower for a shifted state.

    A shifted R+ may also be an idle kernel thread (I), which the letters do not show.
    """
    return _TRUE_STATE.get(letters, letters) if shifted else letters


def is_runnable(letters: str) -> bool:
    """Whether a task that left the CPU in this (true) state was still runnable."""
    return letters.startswith("R")
