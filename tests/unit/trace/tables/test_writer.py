"""Tables are written whole or not at all; late slices are written in their places."""

from __future__ import annotations

import errno
import gc
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import HostError
from harness.parquet_writer import ParquetWriter
from harness.trace.tables import writer
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tables.writer import LateSliceWriter, TableWriter

SLICES = pa.Table.from_pylist(
    [
        {"start_ns": start, "slice_ns": length, "cpu": cpu, "comm": "a", "tid": 1, "prio": 1, "end_state": "S"}
        | {"wake_ns": None, "runnable": [1], "contested": False}
        for start, cpu, length in [(1, 0, 1), (5, 0, 0), (5, 2, 2), (5, 1, 9), (5, 0, 8), (1, 1, 9), (5, 3, 9)]
    ],
    schema=SCHEMAS["slices"],
)


def write_slices(folder: Path, first: int) -> Path:
    with LateSliceWriter(folder) as sink:
        sink.held_rows = 0
        sink.add(SLICES.slice(0, first), None)
        sink.add(SLICES.slice(first), None)
    return sink.path


def test_late_slices_follow_those_of_the_same_time_and_cpu(tmp_path: Path) -> None:
    for first in range(1, 6):
        path = write_slices(tmp_path, first)
        written = [(row["start_ns"], row["cpu"], row["slice_ns"]) for row in pq.read_table(path).to_pylist()]
        assert written == [(1, 0, 1), (1, 1, 9), (5, 0, 0), (5, 0, 8), (5, 1, 9), (5, 2, 2), (5, 3, 9)]
        assert list(tmp_path.iterdir()) == [path]


def test_one_late_slice_among_thousands_comes_into_its_place_with_its_own_values(tmp_path: Path) -> None:
    rows = [{**SLICES.slice(0, 1).to_pylist()[0], "start_ns": start, "runnable": [start] * 3} for start in range(5000)]
    late = rows.pop(700)
    with LateSliceWriter(tmp_path) as sink:
        for part in (rows[:3000], [*rows[3000:], late]):
            sink.add(pa.Table.from_pylist(part, SCHEMAS["slices"]), 0)
    written = [(row["start_ns"], row["runnable"]) for row in pq.read_table(sink.path).to_pylist()]
    assert written == [(start, [start] * 3) for start in range(5000)]


@pytest.mark.parametrize(("owner", "method"), [(pq.ParquetWriter, "write_table"), (pq.ParquetFile, "read_row_group")])
def test_an_error_in_either_pass_leaves_no_file(
    owner: type, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(owner, method, fail)
    with pytest.raises(HostError, match=r"the disk is full: slices\.parquet could not be written"):
        write_slices(tmp_path, 3)
    assert not list(tmp_path.iterdir())


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "slices.parquet").mkdir()
    with (
        pytest.raises(HostError, match=r"slices\.parquet could not be written: Is a directory"),
        TableWriter(tmp_path, "slices") as writer,
    ):
        writer.add(SCHEMAS["slices"].empty_table())
    assert [path.name for path in tmp_path.iterdir()] == ["slices.parquet"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [lambda folder: TableWriter(folder, "slices"), LateSliceWriter])
def test_a_signal_while_a_table_is_opened_leaves_nothing_and_prints_nothing(
    kind: type[LateSliceWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    monkeypatch.setattr(writer, "Background", interrupted)
    with pytest.raises(KeyboardInterrupt), kind(tmp_path / "tables"):
        pass
    gc.collect()
    assert (list(tmp_path.iterdir()), printed) == ([], [])


def test_a_writer_that_outlives_its_file_prints_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    for kind in (ParquetWriter, pq.ParquetWriter):
        with (tmp_path / "table.parquet").open("wb") as file:
            left = kind(file, SLICES.schema)
            left.write_table(SLICES)
        del left
        gc.collect()
        assert len(printed) == (kind is not ParquetWriter)  # that of pyarrow does
