"""Reads a text that perf printed into tables, by way of the files that the import writes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from locations import DATA

from harness.trace.quality import TraceQuality
from harness.trace.reader import RecordingInfo
from harness.trace.text.importer import import_text

TEXTS = DATA / "texts"


@dataclass(frozen=True)
class Imported:
    """The tables and the judgement of a text."""

    tables: dict[str, pa.Table]
    quality: TraceQuality
    header: RecordingInfo

    @property
    def switches(self) -> pa.Table:
        return self.tables["switches"]


def imported(text: Path | bytes | str) -> Imported:
    """Import a text: a file, or its content."""
    with tempfile.TemporaryDirectory() as folder:
        path = text if isinstance(text, Path) else Path(folder) / "text"
        if not isinstance(text, Path):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        result = import_text(path, Path(folder) / "tables")
        tables = {name: pq.read_table(file) for name, file in result.paths.items()}
    return Imported(tables, result.quality, result.header)
