"""A disk without space, for `harness.files`: the kernel's own /dev/full takes the place of the temporary file."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import files


def fill_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the next file that is written to `folder` fail with ENOSPC."""
    full = folder / ".full.tmp"
    full.symlink_to("/dev/full")
    monkeypatch.setattr(files, "_temporary", lambda _: full)
