"""Task names: raw bytes from the kernel to numbers, and to text that loses nothing.

A name is up to 15 bytes of anything but NUL. In the tables it is text in which every byte that is not part of a
printable UTF-8 character, and the backslash itself, stands as an escape: `\\\\` and `\\xNN`. `to_bytes` turns it back.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from harness.trace.gather import Array

COMM_BYTES = 16
_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd: a product loses no bit
_REMEMBERED = 1 << 16  # tasks whose last name is kept at hand
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
        # what each task was last called: a name's halves and its number, at the low bits of the tid
        self._low = np.zeros(_REMEMBERED, np.uint64)
        self._high = np.zeros(_REMEMBERED, np.uint64)
        self._code = np.full(_REMEMBERED, -1, np.int32)

    def encode(self, rows: Array, tids: Array) -> Array:
        """Numbers (int32) of names given as rows of 16 bytes, shape (n, 16); what follows the first NUL is ignored.

        Tasks seldom change their names, so a name is first compared with the last one of its task.
        """
        if not len(rows):
            return np.zeros(0, np.int32)
        halves = np.ascontiguousarray(rows).view(np.uint64)
        low, high = halves[:, 0], halves[:, 1]
        slots = tids & (_REMEMBERED - 1)
        codes = self._code[slots]
        new = np.flatnonzero((self._low[slots] != low) | (self._high[slots] != high) | (codes < 0))
        if len(new):
            codes[new] = self._encode(rows[new], low[new], high[new])
            self._low[slots[new]], self._high[slots[new]], self._code[slots[new]] = low[new], high[new], codes[new]
        return codes

    def _encode(self, rows: Array, low: Array, high: Array) -> Array:
        local, firsts = _distinct(low * _K1 + high * _K2)
        if not (np.array_equal(low[firsts][local], low) and np.array_equal(high[firsts][local], high)):
            _, firsts, local = np.unique(np.stack([low, high], 1), axis=0, return_index=True, return_inverse=True)
            local = local.reshape(-1)
        numbers = [self.number(rows[first].tobytes().split(b"\0", 1)[0]) for first in firsts]
        return np.array(numbers, dtype=np.int32)[local]

    def number(self, raw: bytes) -> int:
        """The number of one name."""
        return self.codes.setdefault(raw, len(self.codes))


def dictionary_column(codes: Array, texts: list[str]) -> pa.DictionaryArray:
    """A dictionary<int32, string> column of `texts[code]`; only the texts that occur are kept."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    renumbered = np.zeros(len(texts), np.int32)
    renumbered[used] = np.arange(len(used), dtype=np.int32)
    kept = pa.array([texts[code] for code in used.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(renumbered[codes], pa.int32()), kept)


def _distinct(values: Array) -> tuple[Array, Array]:
    """Numbers of equal values, by first appearance, and a place where each stands."""
    encoded = pa.array(values).dictionary_encode()
    local = encoded.indices.to_numpy()
    firsts = np.empty(len(encoded.dictionary), np.int64)
    firsts[local[::-1]] = np.arange(len(values) - 1, -1, -1)
    return local, firsts


def keep(rows: Array, lengths: Array) -> Array:
    """`rows` (n, 16) with the bytes from `lengths` (0 to 16) on set to zero."""
    return rows & _KEPT[lengths]
