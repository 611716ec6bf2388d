"""A finished campaign of several arms in blocks, small and real."""

from __future__ import annotations

import tarfile
from pathlib import Path

from locations import DATA

ARCHIVE = DATA / "campaigns" / "levels.tar.xz"


def unpack_campaign(runs: Path) -> Path:
    """Put the campaign into a folder of runs, which need not exist; return its run folder."""
    runs.mkdir(exist_ok=True)
    with tarfile.open(ARCHIVE) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # the Python of Debian 12, 3.11.2, has none
        archive.extractall(runs)
        return runs / archive.getnames()[0].split("/")[0]
