"""Small runs of real recordings, made once, that queries are asked of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    "sweep": {"load.kind": ["nginx_ab", "redis"]},
    "record": {"warmup_s": 1.0, "seconds": 3.0},
    "trials": {"repeat": 2, "order": "listed", "attempts": 1},
    "verdict": {"min_recorded_share": 0.0},  # the recordings lost their ends, to stay small
    "model": {"predictors": ["most_frequent", "markov"], "seeds": [0]},
}


def record(runs: Path, **changes: Any) -> RunFolder:
    """Record a campaign of two loads, two trials each, from recordings of a real machine; train two predictors."""
    folder = RunFolder.create(runs, spec.from_dict({**EXPERIMENT, **changes}), [])
    with (folder.path / "screen.txt").open("w") as screen, pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "run_in_processes", one_after_the_other)
        patch.setattr(rollout, "STEPS", 10)  # most of the time is spent on them
        assert Campaign(folder.experiment, folder, QuietView(screen), effects=RecordedLoads().effects()).run().ok
    return folder
