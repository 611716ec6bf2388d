"""benchmarks/host_noise.py: its tables from stored runs, and its loops; a real run takes minutes."""

from __future__ import annotations

import json
from pathlib import Path

import comparable_run
import pytest

from benchmarks import host_noise
from harness.store import RunFolder

SCORES = {"markov": [[0.80], [0.81], [0.79]]}


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, tuple[RunFolder, RunFolder]]:
    """A quiet and a busy run for each clock; the host's clock suffers."""
    busy = {"counted": (421.0, 422.0, 421.5), "host": (112.0, 124.0, 118.0)}
    found = {}
    for clock, machine in (("counted", comparable_run.COUNTED), ("host", {"clock": "host"})):
        rates = ((421.7, 420.8, 421.2), busy[clock])
        first, second = (
            comparable_run.make(tmp_path / f"{clock}_{name}", requests, SCORES, machine=machine)
            for name, requests in zip(("quiet", "busy"), rates, strict=True)
        )
        for run, share in ((first, 0.08), (second, 0.65)):
            for path in run.path.glob("trials/*/trial.json"):
                host = {"share": share, "seconds": 45.9, "guest_seconds": 31.7}
                path.write_text(json.dumps({**json.loads(path.read_text()), "host": host}))
        found[clock] = (first, second)
    return found


def test_the_first_table_has_a_row_for_each_run(pairs: dict[str, tuple[RunFolder, RunFolder]]) -> None:
    lines = list(host_noise.runs_table(pairs, 4))
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        [f"| {clock}", loops] for clock in ("counted", "host") for loops in ("0", "4")
    ]
    assert {line.count("|") for line in lines} == {10}
    assert "| 65.0 | 118.0 |" in lines[-1]
    assert "| 80.0 (79.0 to 81.0) | 45.9 / 31.7 |" in lines[-1]


def test_the_second_table_says_which_metrics_are_within_one_percent(
    pairs: dict[str, tuple[RunFolder, RunFolder]],
) -> None:
    lines = list(host_noise.verdict_table(pairs))
    (requests,) = (line for line in lines if line.startswith("| requests/s "))
    cells = [cell.strip() for cell in requests.strip("|").split("|")]
    assert (cells[3], cells[6]) == ("yes", "no")
    assert lines[-2].startswith("counted clock, quiet against busy: equal")
    assert lines[-1].startswith("host clock, quiet against busy: differs")


def test_the_loops_run_only_while_the_campaign_records() -> None:
    busy = host_noise.BusyLoops(2)
    try:
        for step, running in [("up:debian-12", 0), ("trial:000", 2), ("trial:001", 2), ("down:debian-12", 0)]:
            host_noise.follow({"event": "step_started", "step": step, "title": step}, busy)
            assert len([loop for loop in busy._running if loop.poll() is None]) == running
    finally:
        busy.end()
