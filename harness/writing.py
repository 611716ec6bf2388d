"""What is said where a file cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HostError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of writing `path` into a HostError that says which file and how much space is left."""
    name = path.name or path
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise HostError(
                f"the disk is full: {name} could not be written",
                where=str(path),
                expected=f"more than the {_free_mb(path.parent):.1f} MB that are free there",
                hint="free some space and do it again; a run goes on with `harness run --resume`",
            ) from error
        raise HostError(f"{name} could not be written: {error.strerror or error}", where=str(path)) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it. NotADirectoryError where a file stands in its place."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # that it is there is not what is wrong
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


def _free_mb(folder: Path) -> float:
    import shutil

    try:
        return shutil.disk_usage(folder).free / 1e6
    except OSError:
        return 0.0
