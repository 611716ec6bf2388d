"""perf.data to the Parquet tables of a trial, and back from them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import TraceError
from harness.files import atomic_file, make_folder
from harness.trace.converter import Converted, convert
from harness.trace.tables.schemas import SCHEMA_VERSION, SCHEMAS

TABLES = ("switches", "wakeups", "slices", "runtimes")
Ingested = Converted


def ingest(perf_data: Path | str, out_dir: Path | str) -> Ingested:
    """Read a recording and write the tables of a trial to `out_dir` (made if need be), each whole or not at all.

    Raises TraceError where the recording cannot be read; a damaged one is written as far as it goes, and `quality`
    says so.
    """
    return convert(perf_data, out_dir, tables=TABLES)


def write_table(table: pa.Table, path: Path) -> Path:
    """Write one table with zstd, under a temporary name first, so that the file is whole wherever it exists."""
    make_folder(path.parent)
    with atomic_file(path) as file:
        pq.write_table(table, file, compression="zstd")
    return path


def load_tables(folder: Path | str) -> dict[str, pa.Table]:
    """The tables that `ingest` wrote. TraceError where one is missing, damaged or of another schema version."""
    return {name: load_table(Path(folder) / f"{name}.parquet", name) for name in TABLES}


def load_table(path: Path, name: str) -> pa.Table:
    """One table, checked against its schema. TraceError as for `load_tables`."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TraceError(f"cannot read the table {name}: {error}", where=str(path), hint="ingest it again") from error
    version = (table.schema.metadata or {}).get(b"schema_version", b"none").decode()
    if version != str(SCHEMA_VERSION) or table.schema.names != SCHEMAS[name].names:
        raise TraceError(
            f"the table {name} has schema version {version} and columns {', '.join(table.schema.names)}",
            where=str(path),
            expected=f"version {SCHEMA_VERSION} and {', '.join(SCHEMAS[name].names)}",
            hint="ingest the recording again",
        )
    return table
