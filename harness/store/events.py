"""events.jsonl: what happened and when, one JSON object a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.files import as_host_error, open_regular
from harness.store.clock import now
from harness.store.manifest import plain

NAME = "events.jsonl"


def append(folder: Path, kind: str, **data: Any) -> None:
    """Append one line; a line that cannot be written whole is removed again. Raises HostError when the disk is full."""
    path = folder / NAME
    line = json.dumps(plain({"time": now(), "kind": kind, **data})).encode() + b"\n"  # ASCII: safe to print
    with as_host_error(path), path.open("ab+", buffering=0) as sink:
        end = sink.seek(0, os.SEEK_END)
        if end and os.pread(sink.fileno(), 1, end - 1) != b"\n":
            line = b"\n" + line  # a killed process left half a line: start a new one
        try:
            if sink.write(line) != len(line):
                raise OSError(28, os.strerror(28))
            os.fsync(sink.fileno())
        except OSError:
            sink.truncate(end)
            raise


def read(folder: Path) -> list[dict[str, Any]]:
    """Return all complete events, oldest first; half a line, left by a process that was killed, is skipped."""
    try:
        with open_regular(folder / NAME) as source:
            raw = source.read()
    except FileNotFoundError:
        return []
    return [event for line in raw.split(b"\n") if (event := _event(line)) is not None]


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "kind" in event else None
