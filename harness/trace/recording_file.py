"""`recording.json`, which lies beside the tables of a recording: what perf wrote about the machine, and the judgement.

The predictors read from it which kernel was recorded, and whether the tables can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.files import write_atomic
from harness.trace.quality import TraceQuality
from harness.trace.reader import RecordingInfo

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
    write_atomic(path, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return path
