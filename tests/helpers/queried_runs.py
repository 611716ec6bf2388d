"""A small run of real recordings, which the queries of docs/query.md are asked of."""

from __future__ import annotations

from pathlib import Path

import pytest
from load_recordings import RecordedLoads
from one_process import one_after_the_other

from harness import spec, workers
from harness.campaign.loop import Campaign
from harness.store import RunFolder
from harness.terminal.progress import QuietView
from model.scoring import rollout

EXPERIMENT = {
    "name": "servers",
    "machine": {"box": "debian-12"},
    "load": {"kind": "nginx_ab"},
    "sweep": {"load.kind": ["nginx_ab", "pgbench", "redis"]},
    "record": {"warmup_s": 1.0, "seconds": 3.0},
    "trials": {"repeat": 1, "order": "listed", "attempts": 1},
    "verdict": {"min_recorded_share": 0.0},  # the recordings lost their ends, to stay small
    "model": {"predictors": ["most_frequent", "markov"], "seeds": [0]},
}


NAME = "2026-11-30T19-20-45_servers"


def record(runs: Path) -> Path:
    """Record a campaign of three loads from recordings of a real machine, train two predictors; return its folder."""
    folder = RunFolder.create(runs, spec.from_dict(EXPERIMENT), [])
    with (folder.path / "screen.txt").open("w") as screen, pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "run_in_processes", one_after_the_other)
        patch.setattr(rollout, "STEPS", 10)  # most of the time is spent on them
        assert Campaign(folder.experiment, folder, QuietView(screen), effects=RecordedLoads().effects()).run().ok
    return folder.path.rename(runs / NAME)
