"""Pages that are written into the folder of a run, beside what the run itself wrote."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import StoreError, UsageError
from harness.store import manifest
from harness.store.removal import OWN_NAME

ENDING = ".html"


def require_no_file_of_a_run(page: Path) -> None:
    """Raise UsageError for a page that would lie among what a run wrote, also through a link.

    A run folder may have pages, `*.html`, but its other files and its subfolders are the run's own.
    """
    file = Path(os.path.realpath(page))
    for folder in file.parents:
        if _is_run(folder) and (file.parent != folder or file.suffix != ENDING):
            what, expected = f"this would be among the files of the run {folder.name}", "a file outside of it"
            raise UsageError(what, where=str(page), expected=f"{expected}, or {folder / f'comparison{ENDING}'}")


def _is_run(folder: Path) -> bool:
    """Return whether a folder has the manifest of a run; a damaged one counts where the name is one of a run."""
    try:
        manifest.read(folder)
    except StoreError:
        return os.path.lexists(folder / manifest.NAME) and bool(OWN_NAME.fullmatch(folder.name))
    return True
