"""The folder that the pages of the docs work in: a recording, its tables, a run and stored models, all real."""

from __future__ import annotations

import lzma
from pathlib import Path

from locations import DATA
from written_before import RUN, unpack

from harness.trace import convert


def workshop(folder: Path) -> Path:
    """Put `perf.data`, its `tables`, `runs` and `models` into a folder."""
    recording = DATA / "debian12_guest_nginx_ab.perf.data.xz"
    (folder / "perf.data").write_bytes(lzma.decompress(recording.read_bytes()))
    unpack(folder)
    (folder / "runs").mkdir()
    (folder / RUN).rename(folder / "runs" / RUN)
    convert(folder / "perf.data", folder / "tables")
    return folder
