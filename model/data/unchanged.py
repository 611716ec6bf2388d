"""Whether the tables of a recording are those that `recording.json` beside them was written with."""

from __future__ import annotations

import functools
from pathlib import Path

from model.data import metadata
from model.errors import TableError
from model.files import is_changed, sha256


def require_unchanged(table: Path) -> None:
    """Raise TableError if a table is not the one that was written: checksums of pages do not cover all of a file.

    One of a version that kept no SHA-256 cannot be compared.
    """
    expected, status = table_hashes(table.parent).get(table.name), table.stat()
    if expected and _sha256(table, status.st_size, status.st_mtime_ns) != expected:
        raise TableError(
            f"{table}: not the table that {metadata.RECORDING} was written with, as its SHA-256 differs: "
            "it was changed or damaged, or is of another recording; convert the recording again"
        )


def are_unchanged(folder: Path) -> bool:
    """Return whether a folder has all tables that its recording.json lists, each as it was written."""
    try:
        tables = [folder / name for name in table_hashes(folder)]
        for table in tables:
            require_unchanged(table)
    except (TableError, OSError):
        return False
    return bool(tables)


def table_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 that each table had when it was written, by the name of its file.

    TableError if the file that keeps them is not JSON, or was changed: what it says of the recording is not believed.
    """
    path = folder / metadata.RECORDING
    try:
        content = metadata.read(path)
    except (OSError, ValueError, RecursionError) as error:
        raise TableError(f"{path}: {path.name} is damaged ({error}): convert the recording again") from error
    if is_changed(content):
        raise TableError(f"{path}: not as it was written, as its SHA-256 differs: convert the recording again")
    hashes = metadata.mapping(content, "table_sha256")
    return {name: digest for name, digest in hashes.items() if isinstance(digest, str)}


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, _size: int, _modified_ns: int) -> str:
    """Return the SHA-256 of a file; hash it again only if its size or time has changed."""
    return sha256(path)
