"""Every table as CSV or Parquet, one file each, into a folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from harness.trace.files import whole_file
from harness.trace.parquet import write_table
from harness.trace.reader import Trace
from harness.trace.slicing import slices
from harness.trace.tables import EVENT_TABLES


def export(trace: Trace, target: Path, kind: str) -> list[Path]:
    """Write `switches.csv` (or `.parquet`) and so on into the folder `target`."""
    tables = {name: getattr(trace, name) for name in EVENT_TABLES} | {"slices": slices(trace)}
    if kind == "parquet":
        return [write_table(table, target / f"{name}.parquet") for name, table in tables.items()]
    return [_csv(table, target / f"{name}.csv") for name, table in tables.items()]


def _csv(table: pa.Table, path: Path) -> Path:
    with whole_file(path) as file:
        pc_csv.write_csv(_flat(table), file)
    return path


def _flat(table: pa.Table) -> pa.Table:
    """CSV knows no lists: the tids of a runnable set are written with spaces between them."""
    columns = []
    for field, values in zip(table.schema, table.columns, strict=True):
        if pa.types.is_list(field.type):
            values = pc.binary_join(values.cast(pa.list_(pa.string())), " ")
        elif pa.types.is_dictionary(field.type):
            values = values.cast(pa.string())
        columns.append(values)
    return pa.table(columns, names=table.schema.names)
