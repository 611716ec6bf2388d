"""Removes a whole run folder, and nothing outside of it.

The folder is first renamed into a temporary one, which no command takes for a run, so that a process that is killed
leaves a run or none, never a part of one; what it left is removed with the next run.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import HostError, StoreError, UsageError
from harness.files import as_host_error
from harness.store import lock, manifest
from harness.temporary import held_folder, sweep

OWN_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_.+")


def require_removable(path: Path) -> Path:
    """Return the path without links. Raises UsageError unless it is a run folder, LockedError if one is at work there.

    A run with a damaged manifest is known by the form of its name: another program's folder may have a manifest, too.
    """
    if path.is_symlink():
        hint = "name that folder to remove the run; `rm` removes the link"
        raise UsageError(f"this is a link to {path.resolve()}", where=str(path), expected="a run folder", hint=hint)
    path = path.resolve()
    try:
        manifest.read(path)
    except StoreError as error:
        if not (path.is_dir() and OWN_NAME.fullmatch(path.name)):
            raise UsageError(f"not removed: {error.what}", where=str(path), expected="a run folder") from None
    if lock.is_locked(path):
        raise lock.held_by_another(path)
    return path


def remove(path: Path) -> None:
    """Remove a run folder; links in it are removed, and what they lead to stays. Raises HostError, LockedError."""
    sweep(path.parent)
    with as_host_error(path), held_folder(path.parent, path.name) as trash, lock.locked(path):
        path.rename(trash / path.name)
    if trash.exists():
        what = f"some files of {path.name} could not be removed"
        raise HostError(
            what, where=str(trash), expected="files that you may remove", hint="remove that folder yourself"
        )
