"""What must be said beside a score, because of how the recordings behind it were made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.replay import kernel

SHIFTED = (
    (4, 14),
    (4, 19),
)  # first and last release that reports states shifted by one (see harness.trace.tracepoint.task_state)


def of(inputs: str, recordings: Iterable[Path]) -> str | None:
    """A sentence for predictors that see run queues of kernels whose trace does not tell who was preempted, or None."""
    told = sorted({release for folder in recordings if (release := kernel.release(Path(folder)))})
    shifted = ", ".join(f"{major}.{minor}" for major, minor in told if SHIFTED[0] <= (major, minor) <= SHIFTED[1])
    if inputs != "runqueue" or not shifted:
        return None
    return (
        f"The run queue of Linux {shifted} knows some of the future: its trace shows some that sleep as preempted, "
        "and whether such a task waited is told from its being picked next."
    )
