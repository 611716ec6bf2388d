"""Names prev_state: from its number to the letters that the recording's print format gives it, and their meaning.

native/sample.c (`prev_state_number`) reads the numbers from the samples.
Kernels 4.14 to 4.19 may report the state shifted by one bit (corrected by mainline commit 3054426dc68e): a runnable
task shows as S, a sleeping one as D. The idle task is always runnable when it leaves a CPU, so its rows show the shift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.print_fmt import Expression, Unprintable, arguments

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
    """Whether kernels of this version may report states shifted by one bit."""
    version = re.match(r"(\d{1,4})\.(\d{1,4})", os_release or "")
    return version is not None and (4, 14) <= (int(version[1]), int(version[2])) <= (4, 19)


def is_shifted(switches: Mapping[str, Any], values: Sequence[int], names: StateNames) -> bool:
    """Whether a kernel that may shift states does: then the first idle task shows another state than R.

    `switches` are columns of equal length, with prev_state as an index in `values`. Without a switch away from an idle
    task the kernel's version decides.
    """
    if not switches:
        return False
    states = zip(switches["prev_tid"], switches["prev_state"], strict=True)
    idle = next((number for tid, number in states if tid == 0), None)
    return idle is None or names.letters(values[idle]) != "R"


def true_state(letters: str, shifted: bool) -> str:
    """Return the state that was meant: the same letters, or those one bit lower for a shifted state."""
    return _TRUE_STATE.get(letters, letters) if shifted else letters


def is_runnable(letters: str) -> bool:
    """Whether a task that left the CPU in this (true) state was still runnable."""
    return letters.startswith("R")
