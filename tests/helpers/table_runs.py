"""Finished runs whose trials have tables, listed in the manifest with their SHA-256, as queries read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import synthetic_run

from harness.files import sha256
from harness.store import RunFolder
from harness.trace.tables.writer import TableWriter

ROWS = 50


def make(
    path: Path, arms: Mapping[str, int], *, unusable: tuple[str, ...] = (), names: Mapping[str, str] | None = None
) -> RunFolder:
    """A run with so many trials of each arm, in turns; `names` renames tasks, and `unusable` trials failed."""
    steps: dict[str, Any] = {}
    turns = [arm for number in range(max(arms.values())) for arm, count in arms.items() if number < count]
    for number, arm in enumerate(turns):
        name = f"{number:03d}_{arm}"
        folder = path / "trials" / name
        ok = name not in unusable
        facts = {"metrics": {"requests_per_s": 400.0 + number}, "quality": {"span_ns": 10**9}, "switches": ROWS}
        more = {"repetition": number, "settings": {"load.concurrency": 2}, "machine": synthetic_run.COUNTED}
        synthetic_run.add_trial(path, name, None, arm=arm, verdict={"ok": ok, "checks": []}, **facts, **more)
        write_table(folder, synthetic_run.slices(ROWS, number, names=dict(names or {})))
        state, error = ("done", None) if ok else ("failed", "idle share")
        outputs = {str(file.relative_to(path)): sha256(file) for file in sorted(folder.iterdir()) if ok}
        detail = {"arm": arm, "metrics": facts["metrics"]}
        steps[f"trial:{name}"] = {"state": state, "seconds": 1.5, "outputs": outputs, "detail": detail, "error": error}
    synthetic_run.write_manifest(path, steps=steps, trials_planned=len(turns), name=path.name)
    return RunFolder.open(path)


def write_table(folder: Path, table: pa.Table, name: str = "slices") -> None:
    """Write a table as `harness trace convert` does."""
    with TableWriter(folder, name) as writer:
        writer.add(table)


def change_manifest(path: Path, **changes: Any) -> None:
    """Change keys of a manifest, as an editor would."""
    content = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**content, **changes}))
