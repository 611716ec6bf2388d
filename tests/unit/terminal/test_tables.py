"""The tables of a run in a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import synthetic_run
from rich.console import Console

from harness.store import RunFolder
from harness.terminal import tables


def shown(run: Path) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(*tables.run_tables(RunFolder.open(run)))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_online_scores_are_shown_below_the_frozen_ones(tmp_path: Path) -> None:
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


def test_machines_that_differ_from_arm_to_arm_are_shown_with_their_arms(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    arms = {
        f"nginx_ab__box-{box}": {"box": {"name": box}, "machine": {"kernel": kernel, "cpus": 1, "memory_mb": 1024}}
        for box, kernel in (("debian-11", "5.10.0"), ("debian-12", "6.1.0"))
    }
    path.write_text(json.dumps(manifest | {"arms": arms}))
    rows = [line.split() for line in shown(tmp_path) if line.startswith("nginx_ab__box")]
    assert rows == [
        ["nginx_ab__box-debian-11", "debian-11", "5.10.0", "1", "1024"],
        ["nginx_ab__box-debian-12", "debian-12", "6.1.0", "1", "1024"],
    ]
    assert tables.run_row(RunFolder.open(tmp_path))["box"] == "debian-11, debian-12"


def test_one_machine_for_all_arms_needs_no_table(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    on = {"box": {"name": "debian-12"}, "machine": {"kernel": "6.1.0", "cpus": 1}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"arms": {"one": on, "two": on}}))
    assert not [line for line in shown(tmp_path) if line.startswith(("one", "two", "arm"))]
    assert tables.run_row(RunFolder.open(tmp_path))["box"] == "debian-12"
