from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import jobs
from model.errors import StreamError
from model.scoring import scores as scores_module
from model.scoring import seeds
from model.scoring.outcomes import read_outcomes


def table(bits: float, seed: int = 0, **more: object) -> dict[str, Any]:
    """Scores of one seed, made up around so many bits a switch."""
    part = {"events": 10, "bits_per_switch": bits, "bits_ci": [0, 1], "chance_top1": 0.5}
    head = {"predictor": "lstm", "regime": "slices", "mark": "task", "seed": seed, "trials": ["000"], "online": None}
    parts = {"overall": part, "forced": {"events": 0}, "contested": part, "open": part}
    return {**head, **parts, "valid": {"overall": {"events": 5, "top1": bits}}, "fit_seconds": bits, **more}


def test_several_seeds_become_one_with_an_interval_over_them() -> None:
    told = seeds.combine_seeds([table(0.1), table(0.2, 1), table(0.3, 2)])
    assert told["seeds"] == [0, 1, 2]
    assert told["overall"]["bits_per_switch"] == pytest.approx(0.2)
    low, high = told["overall"]["bits_per_switch_seeds_ci"]
    assert high - low == pytest.approx(2 * 4.30265 * 0.1 / np.sqrt(3), rel=1e-4)
    assert told["overall"]["events"] == 10
    assert "events_seeds_ci" not in told["overall"]
    assert "chance_top1_seeds_ci" not in told["overall"]
    assert "bits_per_switch" not in told["forced"]
    assert told["valid"]["overall"]["top1"] == pytest.approx(0.2)
    assert [one["seed"] for one in told["by_seed"]] == [0, 1, 2]
    assert "bits_ci" not in told["overall"]  # the mean's own cannot be told from the seeds' tables alone


def test_one_seed_is_itself_and_has_no_interval_over_seeds() -> None:
    told = seeds.combine_seeds([table(0.1, 7)])
    assert told["seeds"] == [7]
    assert told["overall"]["bits_per_switch_seeds_ci"] is None
    assert told["overall"]["bits_ci"] == [0, 1]
    assert told["fit_seconds"] == 0.1
    assert "by_seed" not in told


def test_what_was_scored_on_other_recordings_is_never_pooled() -> None:
    tables = [table(0.1), table(0.9, trials=["001"]), table(0.3, 1)]
    told = [(one["trials"], one["seeds"], one["overall"]["bits_per_switch"]) for one in seeds.summarise(tables)]
    assert told == [(["000"], [0, 1], pytest.approx(0.2)), (["001"], [0], 0.9)]
    with pytest.raises(StreamError, match="trials is not the same"):
        seeds.combine_seeds(tables)


def scores(folder: Path) -> dict[str, Any]:
    return json.loads((folder / jobs.SCORES).read_text())


def test_the_bootstrap_of_the_mean_redraws_all_seeds_alike(markov_models: list[Path]) -> None:
    found = [read_outcomes(folder) for folder in markov_models]
    told = seeds.combine_seeds([scores(folder) for folder in markov_models], found)
    mean = dataclasses.replace(found[0], bits=np.mean([one.bits for one in found], axis=0))
    single = scores_module.score_outcomes(mean)["contested"]
    assert told["contested"]["bits_per_switch"] == pytest.approx(single["bits_per_switch"])  # type: ignore[index]
    assert told["contested"]["bits_ci"] == pytest.approx(single["bits_ci"])  # type: ignore[index]
    for part in scores_module.PARTS:
        for name in ("top1", "top3", "macro_recall", "time_crps_us", "calibration_error", "joint_nats"):
            low, high = told[part][f"{name}_ci"]
            assert low <= told[part][name] <= high
            assert told[part][f"{name}_seeds_ci"] is not None


def test_one_seed_has_the_same_intervals_whichever_way_they_are_made(markov_models: list[Path]) -> None:
    told, (found,) = scores(markov_models[2]), [read_outcomes(markov_models[2])]
    drawn = scores_module.average_seeds([found])
    for part, made in drawn.items():
        assert json.loads(json.dumps(made)) == {name: told[part][name] for name in made}


def test_seeds_of_other_events_are_refused(markov_models: list[Path]) -> None:
    found = [read_outcomes(folder) for folder in markov_models[:2]]
    found[1] = dataclasses.replace(found[1], contested=~found[1].contested)
    with pytest.raises(StreamError, match="scored on other events"):
        scores_module.average_seeds(found)
