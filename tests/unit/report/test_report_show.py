"""The scores of a run in a terminal, which reads them as the page does."""

from __future__ import annotations

import io
import json
from pathlib import Path

import synthetic_run
from rich.console import Console

from harness import show
from harness.store import RunFolder


def shown(run: Path) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(*show.run(RunFolder.open(run)))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_who_learns_on_is_shown_below_its_frozen_self(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.7)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6, online=synthetic_run.online(0.9))
    rows = [line for line in shown(tmp_path) if line.startswith(("lstm ", "markov"))]
    assert [row.split()[:2] for row in rows] == [["lstm", "marks"], ["markov", "marks"], ["markov,", "online"]]
    assert "90." in rows[2].split()[4]


def test_a_share_without_an_interval_is_shown_without_one(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    path = tmp_path / "models" / "markov_s0" / "scores.json"
    rare = {"events": 30, "top1": 0.6543, "top1_ci": None}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"contested": rare}))
    (row,) = [line for line in shown(tmp_path) if line.startswith("markov")]
    assert "65.4%" in row
    assert "±" not in row
