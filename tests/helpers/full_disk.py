"""A disk without space, for `harness.files`: the kernel's own /dev/full takes the place of the temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import files


def fill_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the next file that is written to `folder` fail with ENOSPC."""
    full = folder / ".full.tmp"
    full.symlink_to("/dev/full")

    @contextmanager
    def held_full(_path: Path) -> Iterator[Path]:
        try:
            yield full
        finally:
            full.unlink()

    monkeypatch.setattr(files, "held_file", held_full)
