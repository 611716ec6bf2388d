"""The parts of the C file that depend on the kind of predictor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Members of the state struct, the body of the file, and a sentence on how exact it is."""

    state: tuple[str, ...]
    code: str
    exactness: str
