"""The SHA-256 of files: one way to take it, whoever asks."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal, in memory that does not grow with it. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
