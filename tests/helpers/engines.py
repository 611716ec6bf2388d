"""What each engine makes of a recording, in a form that can be compared."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import harness.trace
from harness.errors import TraceError
from harness.trace.converter import ALL_TABLES, convert
from harness.trace.native.library import VARIABLE
from harness.trace.tables.schemas import EVENT_TABLES

ENGINES = {"compiled": "1", "numpy": "0"}
Outcome = dict[str, object]


def outcome(engine: str, path: Path) -> Outcome:
    """The tables and the quality of a recording, read and converted; or the error that it ends with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, ENGINES[engine])
        return {"read": _read(path), "converted": _converted(path)}


def _read(path: Path) -> Outcome:
    try:
        trace = harness.trace.read(path)
    except TraceError as error:
        return {"error": str(error)}
    tables = {name: getattr(trace, name) for name in EVENT_TABLES}
    return {"quality": trace.quality, "shifted": trace.shifted_states, **tables}


def _converted(path: Path) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = convert(path, folder, chunk_bytes=1 << 16, release_rows=50)
        except TraceError as error:
            return {"error": str(error)}
        return {"quality": done.quality, **{name: pq.read_table(done.paths[name]) for name in ALL_TABLES}}


def assert_same(path: Path) -> Outcome:
    """Every engine makes the same of a recording; what that is."""
    first, *others = (outcome(engine, path) for engine in ENGINES)
    for other in others:
        for kind, found in first.items():
            assert other[kind] == found, kind
    return first
