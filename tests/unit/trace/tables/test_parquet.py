"""From a recording to the tables on disk, and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import LIMIT_S

import harness.trace
from harness.errors import HostError, TraceError
from harness.trace.converter import TRIAL_TABLES, ConvertedRecording
from harness.trace.tables.parquet import load_table, write_table
from harness.trace.tables.schemas import SCHEMAS


@pytest.fixture(scope="module")
def ingested(nginx_recording: Path, tmp_path_factory: pytest.TempPathFactory) -> ConvertedRecording:
    return harness.trace.ingest(nginx_recording, tmp_path_factory.mktemp("ingested") / "deep" / "out")


def test_the_four_tables_are_written_with_their_schemas(ingested: ConvertedRecording) -> None:
    assert set(ingested.paths) == {"switches", "wakeups", "slices", "runtimes"}
    for name, path in ingested.paths.items():
        schema = pq.read_schema(path)
        assert schema.equals(SCHEMAS[name])
        assert schema.metadata[b"schema_version"] == b"1"
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert sorted(path.name for path in ingested.paths["slices"].parent.iterdir()) == sorted(
        f"{name}.parquet" for name in TRIAL_TABLES
    )


def test_the_tables_on_disk_are_those_of_the_recording(ingested: ConvertedRecording, nginx_recording: Path) -> None:
    tables = {name: load_table(path, name) for name, path in ingested.paths.items()}
    trace = harness.trace.read(nginx_recording)
    for name in ("switches", "wakeups", "runtimes"):
        assert tables[name].to_pylist() == getattr(trace, name).to_pylist()
    assert tables["slices"].to_pylist() == harness.trace.slices(trace).to_pylist()


def test_usage_says_who_took_the_cpu(ingested: ConvertedRecording) -> None:
    rows = pq.read_table(ingested.paths["slices"]).to_pylist()
    total = sum(row["slice_ns"] for row in rows)
    of_nginx = [row["slice_ns"] for row in rows if row["comm"] == "nginx"]
    usage = ingested.usage["nginx"]
    assert usage.slices == len(of_nginx)
    assert usage.cpu_share == pytest.approx(sum(of_nginx) / total)
    assert usage.mean_slice_ns == pytest.approx(sum(of_nginx) / len(of_nginx))
    idle = sum(row["slice_ns"] for row in rows if row["tid"] == 0)
    assert ingested.idle_share == pytest.approx(idle / total)
    assert sum(usage.cpu_share for usage in ingested.usage.values()) + ingested.idle_share == pytest.approx(1)
    assert list(ingested.usage)[:2] in (["ab", "nginx"], ["nginx", "ab"])


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


def test_the_package_imports_neither_numpy_nor_pyarrow_until_it_is_used() -> None:
    code = "import sys, harness.trace; sys.exit('numpy' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=LIMIT_S).returncode == 0
