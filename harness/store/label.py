"""label.txt: a line of words that a person gave a run. It is no part of the record: no hash depends on it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from harness.errors import UsageError
from harness.files import as_host_error, open_regular, write_atomic

NAME = "label.txt"
MOST_LETTERS = 200


def read(folder: Path) -> str | None:
    """Return the label of a run; None if it has none, or one that is not readable text."""
    with suppress(OSError, UnicodeDecodeError), open_regular(folder / NAME) as source:
        return source.read(8 * MOST_LETTERS).decode("utf-8").strip()[:MOST_LETTERS] or None
    return None


def write(folder: Path, text: str) -> None:
    """Give a run a label in place of the one it has; an empty text takes it away. Raises UsageError, HostError."""
    text = text.strip()
    if len(text) > MOST_LETTERS or len(text.splitlines()) > 1:
        raise UsageError("this is too much for a label", expected=f"one line of at most {MOST_LETTERS} letters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("this label is no UTF-8", expected="a line of words in UTF-8") from None
    if text:
        return write_atomic(folder / NAME, f"{text}\n")
    with as_host_error(folder / NAME):
        (folder / NAME).unlink(missing_ok=True)
