"""A campaign that ends by the rule of `harness.comparison.stopping`, from the trial.json of its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import BASE, GOOD, World

from harness import spec
from harness.campaign.attempt import Attempt
from harness.campaign.loop import Campaign
from harness.plan import Trial
from harness.spec import Experiment
from harness.store import RunFolder
from harness.terminal.progress import PlainView

pytestmark = pytest.mark.slow


def experiment(**compare: Any) -> Experiment:
    sections = {
        "sweep": {"load.concurrency": [2, 8]},
        "trials": {"blocks": "auto", "repeat": 1, "attempts": 1},
        "compare": {"metric": "requests/s", "width": "2 %", "null": True, **compare},
    }
    return spec.from_dict({**BASE, **sections})


def recorded(folder: RunFolder, noise: float) -> Mapping[str, Any]:
    """Record a campaign whose levels differ by a tenth, each trial with this noise; return its blocks."""

    def attempt(host: object, trial: Trial, place: Path, *_: object) -> Attempt:
        place.mkdir(parents=True)
        level = 440.0 if trial.arm.settings["load.concurrency"] == 8 else 400.0
        rate = level * float(np.exp(np.random.default_rng(trial.index).normal(0, noise)))
        facts = {"block": trial.block, "boot_id": f"boot-{trial.block}", "host_id": "one", "late": trial.late}
        record = {"name": trial.name, "arm": trial.arm.name, "settings": trial.arm.settings, **facts}
        (place / "trial.json").write_text(json.dumps({**record, "metrics": {"requests_per_s": rate}}))
        return Attempt(GOOD, {"arm": trial.arm.name, "metrics": {"requests_per_s": rate}})

    view = PlainView((folder.path.parent / "screen.txt").open("w"))
    effects = replace(World().effects(), make_attempt=attempt)
    assert Campaign(folder.experiment, folder, view, effects=effects).run().ok
    blocks: Mapping[str, Any] = folder.manifest["blocks"]
    return blocks


def test_a_campaign_of_quiet_trials_ends_when_its_interval_is_narrow_enough(tmp_path: Path) -> None:
    blocks = recorded(RunFolder.create(tmp_path, experiment(), []), noise=0.008)
    widths = {seen["blocks"]: seen["width"] for seen in blocks["history"]}
    assert blocks["ended_by"] == "width"
    assert blocks["complete"] == blocks["planned"] == max(widths)
    assert [widths[few] for few in range(1, 6)] == [None] * 5
    *earlier, last = [width for width in widths.values() if width is not None]
    assert earlier
    assert last <= 0.02 < min(earlier)


def test_a_campaign_of_noisy_trials_ends_with_its_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(np.arange(0.0, 10.0, 0.25))
    monkeypatch.setattr("harness.campaign.recording_time.hours", lambda events: float(next(hours)))
    blocks = recorded(RunFolder.create(tmp_path, experiment(max_hours=1.5), []), noise=0.2)
    assert (blocks["ended_by"], blocks["complete"]) == ("max_hours", 7)
    assert blocks["history"][-1]["width"] > 0.02
