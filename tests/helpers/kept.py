"""The real recordings of tests/data, unpacked."""

from __future__ import annotations

import lzma
from pathlib import Path

from locations import DATA


def unpacked(name: str) -> bytes:
    """Return the bytes of a kept recording."""
    return lzma.decompress((DATA / f"{name}.perf.data.xz").read_bytes())


def unpacked_into(folder: Path, name: str) -> Path:
    """Write a kept recording as `name` into a folder, and return its path."""
    path = folder / name
    path.write_bytes(unpacked(name))
    return path
