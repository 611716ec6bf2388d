"""benchmarks/host_noise.py: its tables from stored runs, and its loops; a real run takes minutes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comparable_run
import pytest
from locations import ROOT

from benchmarks import host_noise
from harness.errors import HarnessError
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


CAMPAIGN = """
import json, pathlib, signal, sys, time
sys.path.insert(0, {helpers!r})
import comparable_run
runs = pathlib.Path(sys.argv[sys.argv.index("--runs") + 1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit((runs / "stopped").write_text("down") and 130))
def tell(**event):
    print(json.dumps(event), file=sys.stderr, flush=True)
for step in ("up:debian-12", "trial:000", "down:debian-12"):
    tell(event="step_started", step=step, title=step)
    if {stuck!r} == step:
        while True:
            time.sleep(0.05)
print("no JSON")
comparable_run.make(runs / "2026-01-01_made")
sys.exit({code})
"""


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a script in place of the command `harness`, which boots nothing."""

    def make(stuck: str = "", code: int = 0) -> None:
        script = tmp_path / "campaign.py"
        script.write_text(CAMPAIGN.format(helpers=str(Path(comparable_run.__file__).parent), stuck=stuck, code=code))
        monkeypatch.setattr(host_noise, "HARNESS", [sys.executable, str(script)])
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    return make


SETTINGS = {"machine.clock": "counted"}


def test_a_campaign_s_run_folder_is_the_new_one(tmp_path: Path, campaign: Callable[..., None]) -> None:
    comparable_run.make(tmp_path / "2025-01-01_earlier")
    campaign()
    assert host_noise.record(SETTINGS, tmp_path, 1).path.name == "2026-01-01_made"


def test_a_campaign_that_fails_is_one_clear_error(tmp_path: Path, campaign: Callable[..., None]) -> None:
    campaign(code=1)
    with pytest.raises(HarnessError, match="the run failed"):
        host_noise.record(SETTINGS, tmp_path, 0)


def test_ctrl_c_ends_the_loops_and_lets_the_campaign_take_its_machine_down(
    tmp_path: Path, campaign: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign(stuck="trial:000")
    loops: list[host_noise.BusyLoops] = []
    follow = host_noise.follow

    def interrupted(event: dict[str, Any], busy: host_noise.BusyLoops) -> None:
        follow(event, busy)
        loops.append(busy)
        if event["step"] == "trial:000":
            raise KeyboardInterrupt

    monkeypatch.setattr(host_noise, "follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        host_noise.record(SETTINGS, tmp_path, 1)
    assert (tmp_path / "stopped").read_text() == "down"
    assert loops[-1]._running == []
