"""`recording.json`, which lies beside the tables of a recording: what perf wrote about the machine, and the judgement.

The predictors read from it which kernel was recorded, and whether the tables can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.files import as_host_error, write_atomic
from harness.trace.quality import TraceQuality
from harness.trace.reader import RecordingInfo
from harness.trace.tables.schemas import SCHEMAS

NAME = "recording.json"
SCHEMA_VERSION = 1


def recording_facts(header: RecordingInfo, quality: TraceQuality) -> dict[str, Any]:
    """Return the content of the file: `header`, and `quality` with `whole`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "header": asdict(header),
        "quality": quality.to_dict(),
    }


def write_recording_file(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Write the file into a folder of tables. Raises HostError."""
    path = folder / NAME
    write_atomic(path, _text(facts))
    return path


def remove_former(folder: Path, facts: Mapping[str, Any], new_tables: Collection[Path]) -> None:
    """Remove `recording.json` from a folder just before `new_tables` appear there, and the tables of other recordings.

    So no table ever lies beside the judgement of another recording. Tables of the same recording stay. If the folder
    names no recording, only tables of the format of the new ones count as those of another.
    """
    with as_host_error(folder / NAME):
        former = _former(folder)
        suffixes = (".parquet", ".csv") if former else {path.suffix for path in new_tables}
        if former != _text(facts):
            tables = {folder / f"{name}{suffix}" for name in SCHEMAS for suffix in suffixes}
            for table in tables - set(new_tables):
                table.unlink(missing_ok=True)
        (folder / NAME).unlink(missing_ok=True)


def _former(folder: Path) -> str:
    """Return the content of the file; empty where there is none."""
    path = folder / NAME
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=1, allow_nan=False) + "\n"
