"""Warnings that belong beside a score because of the kernels that made its recordings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.replay import kernel

# Releases that trace task states shifted by one bit (see harness.trace.tracepoint.task_state).
FIRST_SHIFTED, LAST_SHIFTED = (4, 14), (4, 19)


def find_caveat(inputs: str, recordings: Iterable[Path]) -> str | None:
    """Return the warning for predictors that see run queues of kernels whose trace hides preemption, else None."""
    releases = sorted({release for folder in recordings if (release := kernel.release(Path(folder)))})
    shifted = [f"{major}.{minor}" for major, minor in releases if FIRST_SHIFTED <= (major, minor) <= LAST_SHIFTED]
    if inputs != "runqueue" or not shifted:
        return None
    return (
        f"The run queue of Linux {', '.join(shifted)} contains some information about the future: the trace shows some "
        "sleeping tasks as preempted, and such a task is listed as runnable only if it is picked later."
    )


def join(*warnings: str | None) -> str | None:
    """Join the warnings that there are; None where there is none."""
    return " ".join(warning for warning in warnings if warning) or None
