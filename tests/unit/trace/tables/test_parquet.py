"""A single table is written whole, and read back only with its schema."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from harness.errors import HostError, TraceError
from harness.trace.tables.parquet import load_table, write_table
from harness.trace.tables.schemas import SCHEMAS


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "slices.parquet").mkdir()
    with pytest.raises(HostError, match=r"slices\.parquet could not be written: Is a directory"):
        write_table(SCHEMAS["slices"].empty_table(), tmp_path / "slices.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["slices.parquet"]


def test_a_damaged_or_missing_table_is_a_trace_error(tmp_path: Path) -> None:
    path = write_table(SCHEMAS["slices"].empty_table(), tmp_path / "slices.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TraceError, match="cannot read the table"):
        load_table(path, "slices")
    with pytest.raises(TraceError, match="cannot read the table"):
        load_table(tmp_path / "switches.parquet", "switches")


def test_a_table_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    table = SCHEMAS["slices"].empty_table().replace_schema_metadata({"schema_version": "99"})
    with pytest.raises(TraceError, match="schema version 99"):
        load_table(write_table(table, tmp_path / "slices.parquet"), "slices")


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"schema_version": "1"})
    with pytest.raises(TraceError, match="columns a"):
        load_table(write_table(table, tmp_path / "slices.parquet"), "slices")
