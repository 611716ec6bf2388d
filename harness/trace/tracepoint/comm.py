"""Task names: raw bytes from the kernel to numbers, and to text that loses nothing.

A name is up to 15 bytes of anything but NUL. In the tables it is text in which every byte that is not part of a
printable UTF-8 character, and the backslash itself, stands as an escape: `\\\\` and `\\xNN`. `to_bytes` turns it back.
"""

from __future__ import annotations

import re

import numpy as np

from harness.trace.decode.gather import Array

COMM_BYTES = 16
_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd: a product loses no bit
_ESCAPE = re.compile(rb"\\(\\|x([0-9a-f]{2}))")
_KEPT = np.tri(COMM_BYTES + 1, COMM_BYTES, -1, dtype=np.uint8) * np.uint8(255)  # row n: n bytes kept, the rest zero


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


class Names:
    """Numbers task names in the order in which they are first met; one numbering serves a whole recording."""

    def __init__(self) -> None:
        self.codes: dict[bytes, int] = {}

    def encode(self, rows: Array) -> Array:
        """Numbers (int32) of names given as rows of 16 bytes, shape (n, 16); what follows the first NUL is ignored."""
        if not len(rows):
            return np.zeros(0, np.int32)
        halves = np.ascontiguousarray(rows).view(np.uint64)
        low, high = halves[:, 0], halves[:, 1]
        firsts, local = _distinct(low * _K1 + high * _K2)
        if not (np.array_equal(low[firsts][local], low) and np.array_equal(high[firsts][local], high)):
            _, firsts, local = np.unique(np.stack([low, high], 1), axis=0, return_index=True, return_inverse=True)
        numbers = [self.number(rows[first].tobytes().split(b"\0", 1)[0]) for first in firsts]
        return np.array(numbers, dtype=np.int32)[local.reshape(-1)]

    def number(self, raw: bytes) -> int:
        """The number of one name."""
        return self.codes.setdefault(raw, len(self.codes))


def _distinct(values: Array) -> tuple[Array, Array]:
    """A place of each distinct value, and for every value which of them it is."""
    _, firsts, local = np.unique(values, return_index=True, return_inverse=True)
    return firsts, local.reshape(-1)


def keep(rows: Array, lengths: Array) -> Array:
    """`rows` (n, 16) with the bytes from `lengths` (0 to 16) on set to zero."""
    return rows & _KEPT[lengths]
