"""Compares what `read`, `convert` and `summarize` make of one recording: they drive the decoder differently."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from numpy_summary import assert_summed_up

import harness.trace
from harness.errors import TraceError
from harness.trace.converter import convert
from harness.trace.quality import require_events
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.summary import Summary, summarize
from harness.trace.tables.schemas import EVENT_TABLES

Outcome = dict[str, object]


def assert_same(path: Path) -> None:
    """Check that all make the same tables, numbers and quality of a recording, or end with the same error."""
    outcome, summary = _read(path), _summary(path)
    assert outcome == _converted(path)
    if isinstance(summary, str):
        assert outcome == {"error": summary}
        return
    assert summary.quality == outcome["quality"]
    if not summary.quality.run_queues:
        return
    assert_summed_up(summary.by_task, summary.by_cpu, harness.trace.read(path), LOOKAHEAD)


def _read(path: Path) -> Outcome:
    try:
        trace = harness.trace.read(path)
        require_events(path, trace.quality)
        tables = {name: getattr(trace, name).to_pylist() for name in EVENT_TABLES}
        if trace.quality.run_times:
            tables["slices"] = harness.trace.slices(trace).to_pylist()
        return {"quality": trace.quality, **tables}
    except TraceError as error:
        return {"error": str(error)}


def _converted(path: Path) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = convert(path, folder, chunk_bytes=1 << 16, release_rows=50)
        except TraceError as error:
            return {"error": str(error)}
        return {"quality": done.quality, **{name: pq.read_table(made).to_pylist() for name, made in done.paths.items()}}


def _summary(path: Path) -> Summary | str:
    try:
        return summarize(path, chunk_bytes=1 << 16, release_rows=50)
    except TraceError as error:
        return str(error)
