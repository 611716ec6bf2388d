"""Warnings that belong beside a score because of the kernels that made its recordings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.data import metadata
from model.predictor import Guesser, TrainablePredictor
from model.replay import kernel

# Releases of which some trace task states shifted by one bit (see harness.trace.tracepoint.state_reading).
FIRST_SHIFTED, LAST_SHIFTED = (4, 14), (4, 19)
_HINDSIGHT = (
    "some information about the future: the trace shows some sleeping tasks as preempted, and such a task is listed as "
    "runnable only if it is picked later."
)
_SHIFTED = f"contains {_HINDSIGHT}"
_UNKNOWN = f"may contain {_HINDSIGHT} Whether that is so was not recorded: convert the recording again."
_UNDECIDED = "may be wrong: the recording does not show whether its task states are shifted by one bit."


def find_caveat(inputs: str, recordings: Iterable[Path]) -> str | None:
    """Return the warning for predictors that see run queues of kernels whose trace hides preemption, else None."""
    kernels: dict[str, set[str]] = {}
    for folder in map(Path, recordings if inputs == "runqueue" else ()):
        if warning := _warning(folder):
            kernels.setdefault(warning, set()).add(metadata.kernel(folder) or "an unknown version")
    return join(*(f"The run queue of Linux {', '.join(sorted(names))} {text}" for text, names in kernels.items()))


def _warning(folder: Path) -> str:
    """Return what is to be said of one recording's run queues: as was decided when it was read, else by its version."""
    states = metadata.quality(folder).get("states")
    if isinstance(states, dict):
        return _UNDECIDED if states.get("decided_by") == "nothing" else _SHIFTED if states.get("shifted") else ""
    version = kernel.release(folder)
    return _UNKNOWN if version and FIRST_SHIFTED <= version <= LAST_SHIFTED else ""


def find_guesses(predictor: TrainablePredictor, recordings: Iterable[Path]) -> str | None:
    """Return in words what a predictor had to guess about the recordings, else None. Raises TableError."""
    if not isinstance(predictor, Guesser):
        return None
    guessed = dict.fromkeys(guess for folder in recordings for guess in predictor.guesses(Path(folder)))
    return f"Not in the recordings: {'; '.join(guessed)}." if guessed else None


def join(*warnings: str | None) -> str | None:
    """Join the warnings that there are; None where there is none."""
    return " ".join(warning for warning in warnings if warning) or None
