"""What a terminal or a pager leaves in a text: colours and other escape sequences, letters struck twice."""

from __future__ import annotations

import re

ESCAPE = rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Z]|[=>78cM]|\][^\x07\x1b]*(?:\x07|\x1b\\))"
_MARKS = re.compile(ESCAPE + rb"|[^\x08]\x08|[\r\x0f]")  # what stands before a backspace is struck over


def has_escapes(text: bytes) -> bool:
    """Whether there is anything to take out."""
    return b"\x1b" in text or b"\x08" in text


def without_escapes(text: bytes) -> bytes:
    """Return the text as it was before a terminal or a pager marked it."""
    return _MARKS.sub(b"", text)
