"""CSV and Parquet files hold every table."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq

import harness.trace
from harness.trace.export import export


def test_csv_holds_every_table_row_for_row(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    written = {path.stem: path for path in export(hostile_recording, "csv", tmp_path).paths}
    with written["switches"].open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {name: str(value) for name, value in row.items()} for row in trace.switches.to_pylist()
        ]
    with written["slices"].open(newline="", encoding="utf-8") as file:
        runnable = [row["runnable"] for row in csv.DictReader(file)]
    expected = harness.trace.slices(trace)["runnable"].to_pylist()
    assert runnable == [" ".join(map(str, tids)) for tids in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written.values())


def test_parquet_holds_every_table(nginx_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(nginx_recording)
    written = {path.stem: path for path in export(nginx_recording, "parquet", tmp_path / "out").paths}
    assert set(written) == {
        "switches", "wakeups", "runtimes", "migrations", "forks", "execs", "exits", "slices",
    }  # fmt: skip
    assert pq.read_table(written["migrations"]).to_pylist() == trace.migrations.to_pylist()
