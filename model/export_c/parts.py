"""What a kind of predictor contributes to the C file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Members of the state, the body of the file, and a line on how exact it is."""

    state: tuple[str, ...]
    code: str
    exactness: str
