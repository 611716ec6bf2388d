"""Task names (comm): raw bytes from the kernel to text without loss, and back.

A name has up to 15 bytes of any value but NUL. In the tables it is text: printable UTF-8 characters stay, every other
byte is written `\\xNN`, and a backslash `\\\\`.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(\\|x([0-9a-f]{2}))")


def to_text(raw: bytes) -> str:
    """Return a task name as text: printable UTF-8 characters unchanged, every other byte escaped."""
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def to_bytes(text: str) -> bytes:
    """Return the task name for which `to_text` returned `text`."""
    return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[2].decode()) if escape[2] else b"\\", text.encode())
