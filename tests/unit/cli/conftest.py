"""A real recording, as perf.data and as tables."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from command_line import harness
from locations import DATA

RECORDING = DATA / "debian12_guest_nginx_ab.perf.data.xz"


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "perf.data"
    path.write_bytes(lzma.decompress(RECORDING.read_bytes()))
    return path


@pytest.fixture(scope="session")
def tables(raw: Path) -> Path:
    harness("trace", "convert", raw, "-o", raw.parent / "tables")
    return raw.parent / "tables"
