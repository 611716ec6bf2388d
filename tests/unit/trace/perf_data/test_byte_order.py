"""A recording from a big-endian machine is read as perf reads it, and as the same one from a little-endian machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import perf_text
import pytest
from byte_swapped import byte_swapped

import harness.trace
from harness.trace.tables.schemas import EVENT_TABLES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["nginx_recording", "hostile_recording"])
def test_a_recording_in_the_other_byte_order_gives_the_same_tables(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path, swapped = request.getfixturevalue(name), tmp_path / "swapped.data"
    swapped.write_bytes(byte_swapped(path))
    ours, theirs = harness.trace.read(path), harness.trace.read(swapped)
    assert all(getattr(theirs, table).equals(getattr(ours, table)) for table in EVENT_TABLES)
    assert replace(theirs.header, captured_s=0) == replace(ours.header, captured_s=0)
    assert theirs.quality == ours.quality
    assert perf_text.script(swapped) == perf_text.script(path)  # perf, too, takes it for one of that byte order
