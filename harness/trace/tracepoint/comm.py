"""Task names: raw bytes from the kernel to text that loses nothing, and back.

A name is up to 15 bytes of anything but NUL. In the tables it is text in which every byte that is not part of a
printable UTF-8 character, and the backslash itself, stands as an escape: `\\\\` and `\\xNN`. `to_bytes` turns it back.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(\\|x([0-9a-f]{2}))")


def to_text(raw: bytes) -> str:
    """A task name as text: printable UTF-8 as it is, everything else escaped byte by byte."""
    return "".join(_escaped(char) for char in raw.decode("utf-8", "surrogateescape"))


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def to_bytes(text: str) -> bytes:
    """The task name that `to_text` made `text` of."""
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[2].decode()) if found[2] else b"\\", text.encode())
