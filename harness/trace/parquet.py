"""perf.data to the Parquet tables of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import TraceError
from harness.trace.files import whole_file
from harness.trace.quality import TraceQuality
from harness.trace.reader import Info, read
from harness.trace.slicing import slices
from harness.trace.tables import SCHEMA_VERSION, SCHEMAS

TABLES = ("switches", "wakeups", "slices", "runtimes")
IDLE = "idle"


@dataclass(frozen=True)
class Usage:
    """What one task name took: its share of all recorded CPU time, how many slices, and their mean length."""

    cpu_share: float
    slices: int
    mean_slice_ns: float


@dataclass(frozen=True)
class Ingested:
    """Tables written by `ingest`, by name. `usage` is by comm, without the idle tasks; `idle_share` is theirs."""

    paths: dict[str, Path]
    quality: TraceQuality
    header: Info
    usage: dict[str, Usage]
    idle_share: float


def ingest(perf_data: Path | str, out_dir: Path | str) -> Ingested:
    """Read a recording and write its tables to `out_dir` (made if need be), each one whole or not at all.

    Raises TraceError where the recording cannot be read; a damaged one is written as far as it goes, and `quality`
    says so.
    """
    trace, folder = read(perf_data), Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"switches": trace.switches, "wakeups": trace.wakeups, "slices": slices(trace), "runtimes": trace.runtimes}
    paths = {name: write_table(table, folder / f"{name}.parquet") for name, table in tables.items()}
    shares, idle = usage(tables["slices"])
    return Ingested(paths, trace.quality, trace.header, shares, idle)


def write_table(table: pa.Table, path: Path) -> Path:
    """Write one table with zstd, under a temporary name first, so that the file is whole wherever it exists."""
    with whole_file(path) as file:
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


def usage(table: pa.Table) -> tuple[dict[str, Usage], float]:
    """CPU share, slices and mean slice by comm, largest share first, and the share of the idle tasks."""
    total = pc.sum(table["slice_ns"]).as_py() or 0
    if not total:
        return {}, 0.0
    idle = pc.equal(table["tid"], 0)
    grouped = table.filter(pc.invert(idle)).group_by("comm").aggregate([("slice_ns", "sum"), ("slice_ns", "count")])
    rows = sorted(grouped.to_pylist(), key=lambda row: -row["slice_ns_sum"])
    idle_ns = pc.sum(table.filter(idle)["slice_ns"]).as_py() or 0
    return {row["comm"]: _usage(row["slice_ns_sum"], row["slice_ns_count"], total) for row in rows}, idle_ns / total


def _usage(taken_ns: int, count: int, total_ns: int) -> Usage:
    return Usage(taken_ns / total_ns, count, taken_ns / count)
