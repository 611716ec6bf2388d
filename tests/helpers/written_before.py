"""Files of version 0.1.0: the run folder of a real campaign, models of every kind, and their predictions then."""

from __future__ import annotations

import io
import lzma
import tarfile
from functools import cache
from pathlib import Path

from locations import DATA

ARCHIVE = DATA / "written_by_0_1_0.tar.xz"
RUN = "2026-11-29T09-20-03_smoke"
TRIAL = f"{RUN}/trials/000_nginx_ab"


def unpack(folder: Path) -> Path:
    """Put RUN, `models` and `predictions` into `folder`."""
    with tarfile.open(fileobj=io.BytesIO(_plain())) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # the Python of Debian 12, 3.11.2, has none
        archive.extractall(folder)
    return folder


@cache
def _plain() -> bytes:
    """Return the archive, decompressed once for all tests of a process: that takes most of the time of unpacking."""
    return lzma.decompress(ARCHIVE.read_bytes())
