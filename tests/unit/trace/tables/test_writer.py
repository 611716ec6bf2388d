"""Tables are written whole or not at all; late slices are written in their places."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import HostError
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tables.writer import LateSliceWriter, TableWriter


def test_late_slices_follow_those_of_the_same_time_and_cpu(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(
        [
            {"start_ns": start, "slice_ns": length, "cpu": cpu, "comm": "a", "tid": 1, "prio": 1, "end_state": "S"}
            | {"wake_ns": None, "runnable": [1], "contested": False}
            for start, cpu, length in [(1, 0, 1), (5, 0, 0), (5, 2, 2), (5, 1, 9), (5, 0, 8), (1, 1, 9), (5, 3, 9)]
        ],
        schema=SCHEMAS["slices"],
    )
    for first in range(1, 6):
        with LateSliceWriter(tmp_path) as sink:
            sink.add(table.slice(0, first), None)
            sink.add(table.slice(first), None)
        written = [(row["start_ns"], row["cpu"], row["slice_ns"]) for row in pq.read_table(sink.path).to_pylist()]
        assert written == [(1, 0, 1), (1, 1, 9), (5, 0, 0), (5, 0, 8), (5, 1, 9), (5, 2, 2), (5, 3, 9)]


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "slices.parquet").mkdir()
    with (
        pytest.raises(HostError, match=r"slices\.parquet could not be written: Is a directory"),
        TableWriter(tmp_path, "slices") as writer,
    ):
        writer.add(SCHEMAS["slices"].empty_table())
    assert [path.name for path in tmp_path.iterdir()] == ["slices.parquet"]
