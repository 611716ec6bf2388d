"""Single tables as Parquet files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import TraceError
from harness.files import atomic_file, make_folder
from harness.trace.tables.schemas import SCHEMA_VERSION, SCHEMAS


def write_table(table: pa.Table, path: Path) -> Path:
    """Write one table with zstd; the file appears whole or not at all. Raises HostError."""
    make_folder(path.parent)
    with atomic_file(path) as file:
        pq.write_table(table, file, compression="zstd")
    return path


def load_table(path: Path, name: str) -> pa.Table:
    """Read the table `name`. Raises TraceError if it is missing, damaged, or has another schema."""
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
