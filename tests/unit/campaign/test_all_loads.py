"""Recordings of every load, made by a real machine: judged, read, predicted and reported as in a campaign."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import load_recordings
import pytest
from load_recordings import RecordedLoads
from locations import EXPERIMENTS
from one_process import one_after_the_other

from harness import spec, workers
from harness.campaign.loop import Campaign
from harness.load_results import results
from harness.loads import OWN, Timing
from harness.store import RunFolder
from harness.terminal.progress import QuietView
from model.scoring import rollout

pytestmark = pytest.mark.slow

LOADS = sorted(OWN)
PREDICTORS = {"markov": {"order": 2}, "slice_markov": {"max_order": 3, "bins": 4, "strength": 4}, "cfs_replay": {}}
RECORD = {"warmup_s": 1.0, "seconds": 3.0}
SETTINGS = {
    "record": RECORD,
    "trials": {"repeat": 1, "order": "listed", "attempts": 1},
    "verdict": {"min_recorded_share": 0.0},  # a recording that lost its end, to stay small, does not last 3 s
    "model": {"predictors": list(PREDICTORS), "params": PREDICTORS, "seeds": [0]},  # nothing is left to validation
}


class Recorded:
    """Campaigns with the recordings of all loads: that of experiments/loads.yaml, and one of a command."""

    def __init__(self, runs: Path) -> None:
        swept = spec.to_dict(spec.load(EXPERIMENTS / "loads.yaml"))
        alone = {"name": "command", "machine": swept["machine"], "load": {"kind": "command", "run": "true"}}
        self.folders = [RunFolder.create(runs, spec.from_dict({**one, **SETTINGS}), []) for one in (swept, alone)]
        self.ended = [self._run(folder) for folder in self.folders]
        self.pages = [(folder.path / "report" / "index.html").read_text("utf-8") for folder in self.folders]

    def _run(self, folder: RunFolder) -> bool:
        with (folder.path / "screen.txt").open("w") as screen:
            effects = RecordedLoads().effects()
            return Campaign(folder.experiment, folder, QuietView(screen), effects=effects).run().ok

    def folder(self, kind: str) -> RunFolder:
        """Return the run that has this load."""
        return self.folders[kind == "command"]

    def page(self, kind: str) -> str:
        """Return the report that has this load."""
        return self.pages[kind == "command"]

    def trial(self, kind: str) -> Path:
        """Return the trial's folder."""
        (path,) = self.folder(kind).path.glob(f"trials/[0-9]*_{kind}")
        return path

    def record(self, kind: str) -> dict[str, Any]:
        """Return the trial.json."""
        return dict(json.loads((self.trial(kind) / "trial.json").read_text()))

    def scores(self, kind: str, predictor: str) -> dict[str, Any]:
        """Return the scores of one model."""
        name = predictor if kind == "command" else f"{kind}.{predictor}"
        return dict(json.loads((self.folder(kind).path / "models" / f"{name}_s0" / "scores.json").read_text()))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "run_in_processes", one_after_the_other)
        patch.setattr(rollout, "STEPS", 50)  # most of the time is spent on them
        yield Recorded(tmp_path_factory.mktemp("loads") / "runs")


def test_there_is_a_recording_of_every_load_and_each_campaign_ends_well(recorded: Recorded) -> None:
    assert load_recordings.kinds() == LOADS
    assert recorded.ended == [True, True]


@pytest.mark.parametrize("kind", LOADS)
def test_the_recording_is_usable_and_its_output_says_what_the_guest_said(recorded: Recorded, kind: str) -> None:
    record, folder = recorded.record(kind), recorded.trial(kind)
    assert [check for check in record["verdict"]["checks"] if not check["ok"]] == []
    described = load_recordings.described(kind)
    load = OWN[kind].model_validate_json(json.dumps(described["load"]), strict=True)
    timing = Timing(described["seed"], RECORD["warmup_s"], described["seconds"])
    assert load.parse((folder / "load.txt").read_text("utf-8"), timing) == record["metrics"]
    assert (record["metrics"] == {}) is (kind == "idle")


@pytest.mark.parametrize("kind", LOADS)
def test_predictors_are_scored_on_it(recorded: Recorded, kind: str) -> None:
    for predictor in PREDICTORS:
        overall = recorded.scores(kind, predictor)["overall"]
        assert overall["events"] > 0
        assert 0 <= overall["top1"] <= 1
        assert math.isfinite(overall["bits_per_switch"])


@pytest.mark.parametrize("kind", LOADS)
def test_its_report_names_the_load_and_what_it_got(recorded: Recorded, kind: str) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", recorded.page(kind)))
    assert kind in text
    for result in results(recorded.record(kind)):
        assert result.name in text
    assert not re.search(r"\b(?:nan|inf|None)\b", re.sub(r"(?s)<(script|style).*?</\1>", "", recorded.page(kind)))
