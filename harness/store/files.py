"""Writing files so that they are whole or not there, and telling whether they are still what was written."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from harness import hashing
from harness.errors import StoreError
from harness.writing import writing

LEFTOVER = ".*.tmp"  # what `write_atomic` leaves when its process is killed


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write under a temporary name, fsync, rename: `path` holds the old content or the new one, never a part.

    Text is written as UTF-8. Raises HostError when the disk is full or the folder cannot be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with writing(path):
        try:
            with temporary.open("xb") as sink:
                sink.write(data)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises StoreError when it cannot be read."""
    try:
        return hashing.sha256(path)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read: {error.strerror or error}", where=str(path)) from error


def sync(path: Path) -> None:
    """Have the kernel put a file's content on the disk."""
    with writing(path), path.open("rb") as source:
        os.fsync(source.fileno())


def sync_folder(folder: Path) -> None:
    """Have the kernel put a folder's entries on the disk, new names among them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
