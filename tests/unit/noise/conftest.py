"""A host whose /proc is a folder of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_proc import FakeProc


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path / "proc")
