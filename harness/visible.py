"""Shows text that anybody may have written, such as a task's name, so that it hides and commands nothing."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_UNUSUAL = re.compile(r"[^ -~]")
_UNUSUAL_IN_LINES = re.compile(r"[^ -~\n\t]")
_BLANK = re.compile(  # letters and marks that show nothing
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_NEXT_LINE = re.compile(r"\n(?=[^ \n])")


def visible(value: Any) -> str:
    r"""Return one line of text in which nothing is hidden: control characters become `\x1b`, `\u202e`."""
    return _UNUSUAL.sub(_escape, _text(value))


def visible_lines(value: Any) -> str:
    """Return the same for text of several lines, whose line feeds and tabs are kept."""
    return _UNUSUAL_IN_LINES.sub(_escape, _text(value))


def visible_message(value: Any) -> str:
    """Return the same with every further line indented: a line feed in a name must not begin a message of its own."""
    return _NEXT_LINE.sub("\n  ", visible_lines(value))


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _escape(match: re.Match[str]) -> str:
    """Keep a printable character or a space; replace control characters, marks that reorder or hide text, lone
    surrogates and unassigned code points by their code."""
    character = match.group()
    if (character.isprintable() and not _BLANK.match(character)) or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, carried by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
