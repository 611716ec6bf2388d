"""What `harness trace convert | summary | export | import` do: data in, data out; nothing is printed here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.progress import SilentWatcher, Watcher
from harness.trace.converter import ALL_TABLES, Converted
from harness.trace.converter import convert as convert_recording
from harness.trace.export import export as export_recording
from harness.trace.export.sched_map_import import Imported, import_sched_map
from harness.trace.perf_data.recording import located
from harness.trace.quality import TraceQuality
from harness.trace.reader import Info, read
from harness.trace.runqueue.slicer import slices_in_pieces
from harness.trace.summary import cpu_summary, task_summary
from harness.trace.tables.parquet import write_table


@dataclass(frozen=True)
class Summary:
    """A recording in numbers: what it is, whether it is sound, its tasks and its CPUs (see `summary` for columns)."""

    path: Path
    header: Info
    quality: TraceQuality
    tasks: pa.Table
    cpus: pa.Table

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, for JSON."""
        return {
            "path": str(self.path),
            "header": asdict(self.header),
            "quality": asdict(self.quality) | {"whole": self.quality.whole},
            "tasks": self.tasks.to_pylist(),
            "cpus": self.cpus.to_pylist(),
        }


@dataclass(frozen=True)
class ImportedText:
    """What was read from a text, and the file it was written to."""

    path: Path
    rows: int
    warnings: tuple[str, ...]


def convert(
    recording: Path,
    out_dir: Path,
    *,
    strict: bool = False,
    formats_from: Path | None = None,
    watcher: Watcher | None = None,
) -> Converted:
    """Write every table of a recording as Parquet into `out_dir`. Raises TraceError."""
    watcher = watcher or SilentWatcher()
    watcher.note(f"reading {recording}")
    return convert_recording(
        recording, out_dir, tables=ALL_TABLES, strict=strict, formats_from=formats_from, on_progress=watcher.advance
    )


def summary(recording: Path, *, formats_from: Path | None = None) -> Summary:
    """Count and time the tasks and CPUs of a recording. Raises TraceError."""
    trace = read(recording, formats_from=formats_from)
    with located(recording):
        tasks, cpus = task_summary(trace), cpu_summary(trace, slices_in_pieces(trace))
    return Summary(trace.path, trace.header, trace.quality, tasks, cpus)


def export(recording: Path, kind: str, target: Path, *, formats_from: Path | None = None) -> list[Path]:
    """Hand a recording on as `kind` (see `export.KINDS`). Raises TraceError, and UsageError for an unknown kind."""
    with located(recording):
        return export_recording(recording, kind, target, formats_from)


def import_text(text: Path, out_dir: Path) -> ImportedText:
    """Read the text of `perf sched map` and write its switches to `out_dir`/switches.parquet. Raises TraceError."""
    found: Imported = import_sched_map(text)
    path = write_table(found.switches, out_dir / "switches.parquet")
    return ImportedText(path, found.switches.num_rows, found.warnings)
