"""Write the files of a model whole, hash files, and name the errors of reading weights that do not fit."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import safetensors

WEIGHT_ERRORS = (  # raised by arrays that do not belong to the predictor which restores them
    safetensors.SafetensorError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)


def write_atomic(path: Path, content: bytes) -> None:
    """Write the file whole or not at all, and remove what killed processes left of the same file.

    The temporary file is locked while its owner lives, so one that can be locked was left behind.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        _remove_if_left(left)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not temporary.exists():  # another process removed it before it was locked
                return write_atomic(path, content)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_if_left(temporary: Path) -> None:
    with suppress(OSError), temporary.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        temporary.unlink()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read block by block. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
