"""Whether the wakeups of a recording are all there, told by what the tasks did.

A task that left asleep is woken before it runs again. The sleeps that ended without a recorded wakeup were at most
2.7 % in some sixty sound recordings (kernels 4.15 to 6.18, of 0.01 to 20 s; they lie at the edges of short ones), and
45 % or more where half of the wakeups had been taken out or filtered. Where some of several CPUs were recorded, 5 to
98 % were woken by the others, or none, if all tasks stayed; there a task that waits for long at the end, of which sound
recordings have none, was pulled away by another CPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.trace.decode.results import Absences
from harness.trace.tracepoint.task_state import PREEMPTED, StateNames, is_runnable, true_state

_MAX_UNWOKEN, _MAX_UNWOKEN_OF_SOME_CPUS = 0.1, 0.02  # of all sleeps that ended
_MIN_UNWOKEN, _MIN_UNWOKEN_OF_SOME_CPUS = 5, 2  # perf's own wakeups are not always recorded, nor those at the edges


@dataclass(frozen=True)
class Sleeps:
    """How many sleeps `ended`, and how many `unwoken` ones; how many tasks are `forgotten`, as they wait to the end."""

    ended: int
    unwoken: int
    forgotten: int

    @property
    def lack_wakeups(self) -> bool:
        """Whether so many wakeups are missing that it is not known who could run."""
        return self._are_unwoken(_MAX_UNWOKEN, _MIN_UNWOKEN)

    @property
    def lack_other_cpus(self) -> bool:
        """Whether CPUs that were not recorded woke or took tasks of those that were."""
        return self.forgotten > 0 or self._are_unwoken(_MAX_UNWOKEN_OF_SOME_CPUS, _MIN_UNWOKEN_OF_SOME_CPUS)

    def _are_unwoken(self, share: float, least: int) -> bool:
        return self.unwoken >= least and self.unwoken > share * self.ended


def count_sleeps(absences: Absences, names: StateNames | None, shifted: bool) -> Sleeps:
    """Read the states in which the absences of tasks began."""
    letters = {state: names.letters(state) for state in absences.ended} if names else {}
    asleep = [state for state, text in letters.items() if true_state(text, shifted)[0] in "SD"]
    runnable = [
        state
        for state, text in letters.items()
        if is_runnable(true_state(text, shifted)) and not (shifted and text == PREEMPTED)  # or an idle kernel thread
    ]
    return Sleeps(
        _sum(absences.ended, asleep),
        _sum(absences.unwoken, asleep),
        absences.woken + _sum(absences.lasting, runnable),
    )


def _sum(counts: dict[int, int], states: Iterable[int]) -> int:
    return sum(counts[state] for state in states)
