"""`recording.json`, which lies beside the tables of a recording: what it is of, what they are, and the judgement.

The predictors read from it which kernel was recorded, and whether the tables are unchanged and can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.files import SEAL, as_host_error, open_regular, sealed, sha256, write_atomic
from harness.trace.identity import Identity
from harness.trace.quality import TraceQuality, damage
from harness.trace.reader import RecordingInfo
from harness.trace.tables.schemas import SCHEMAS
from harness.version import version

NAME = "recording.json"
SCHEMA_VERSION = 2
_MOST_BYTES = 32 << 20
TABLES = "table_sha256"  # the key of the SHA-256 of each table, by the name of its file

Facts = dict[str, Any]


def recording_facts(identity: Identity, header: RecordingInfo, quality: TraceQuality) -> Facts:
    """Return the content of the file without the tables: which recording, what perf wrote, and the judgement."""
    return {
        "schema_version": SCHEMA_VERSION,
        "harness_version": version(),
        "recording": identity,
        "header": asdict(header),
        "quality": quality.to_dict(),
        "damage": damage(quality),
    }


def without_tables(facts: Mapping[str, Any]) -> Facts:
    """Return the content without the hashes of the tables, and its own."""
    return {key: value for key, value in facts.items() if key not in (TABLES, SEAL)}


def write_recording_file(folder: Path, facts: Mapping[str, Any], tables: Collection[Path]) -> Path:
    """Write the file into a folder of tables, with the SHA-256 of these and its own. Raises HostError."""
    path = folder / NAME
    with as_host_error(path):
        hashes = {table.name: sha256(table) for table in tables}
    write_atomic(path, _text(sealed({**facts, TABLES: {**facts.get(TABLES, {}), **hashes}})))
    return path


def with_tables(path: Path, hashes: Mapping[str, str]) -> str | None:
    """Return the text of the file with these SHA-256 of the tables that it has; None where there is no such file."""
    if not (former := _former(path.parent)):
        return None
    known = former.get(TABLES, {})
    return _text(sealed({**former, TABLES: {name: hashes.get(name, digest) for name, digest in known.items()}}))


def remove_former(folder: Path, facts: Mapping[str, Any], new_tables: Collection[Path]) -> Facts:
    """Remove `recording.json` from a folder just before `new_tables` appear there, and the tables of other recordings.

    So no table ever lies beside the judgement of another recording. Tables of the same recording stay, and `facts` are
    returned with their hashes. If the folder names no recording, only tables of the format of the new ones count as
    those of another.
    """
    with as_host_error(folder / NAME):
        former = _former(folder)
        same = without_tables(former) == json.loads(_text(facts))
        suffixes = (".parquet", ".csv") if (folder / NAME).is_file() else {path.suffix for path in new_tables}
        if not same:
            tables = {folder / f"{name}{suffix}" for name in SCHEMAS for suffix in suffixes}
            for table in tables - set(new_tables):
                table.unlink(missing_ok=True)
        (folder / NAME).unlink(missing_ok=True)
    return {**facts, **({TABLES: former[TABLES]} if same and TABLES in former else {})}


def _former(folder: Path) -> Facts:
    """Return the content of the file; empty where there is none, or a damaged one."""
    try:
        with open_regular(folder / NAME) as source:
            content = json.loads(source.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=1, allow_nan=False) + "\n"
