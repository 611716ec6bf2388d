"""How many bytes the files of a folder have."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def of_folder(folder: Path) -> int:
    """Return the bytes of all files below a folder; what a link leads to is not counted."""
    return of_files(Path(parent) / name for parent, _, names in os.walk(folder) for name in names)


def of_files(paths: Iterable[Path]) -> int:
    """Return the bytes of these files; one that is gone has none."""
    size = 0
    for path in paths:
        with suppress(OSError):
            size += path.lstat().st_size
    return size


def spelt(size: int) -> str:
    """Spell a number of bytes, such as 12.3 MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
