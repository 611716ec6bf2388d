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
    """Made-up scores of one seed, of so many bits per switch."""
    part = {"events": 10, "bits_per_switch": bits, "bits_ci": [0, 1], "chance_top1": 0.5}
    head = {"predictor": "lstm", "regime": "slices", "mark": "task", "seed": seed, "trials": ["000"], "online": None}
    parts = {"overall": part, "forced": {"events": 0}, "contested": part, "open": part}
    return {**head, **parts, "valid": {"overall": {"events": 5, "top1": bits}}, "fit_seconds": bits, **more}


def test_several_seeds_become_one_table_with_an_interval_over_them() -> None:
    combined = seeds.combine_seeds([table(0.1), table(0.2, 1), table(0.3, 2)])
    assert combined["seeds"] == [0, 1, 2]
    assert combined["overall"]["bits_per_switch"] == pytest.approx(0.2)
    low, high = combined["overall"]["bits_per_switch_seeds_ci"]
    assert high - low == pytest.approx(2 * 4.30265 * 0.1 / np.sqrt(3), rel=1e-4)
    assert combined["overall"]["events"] == 10
    assert "events_seeds_ci" not in combined["overall"]
    assert "chance_top1_seeds_ci" not in combined["overall"]
    assert "bits_per_switch" not in combined["forced"]
    assert combined["valid"]["overall"]["top1"] == pytest.approx(0.2)
    assert [one["seed"] for one in combined["by_seed"]] == [0, 1, 2]
    assert "bits_ci" not in combined["overall"]  # the mean's interval needs the outcomes, not the seeds' tables alone


def test_one_seed_keeps_its_table_and_has_no_interval_over_seeds() -> None:
    combined = seeds.combine_seeds([table(0.1, 7)])
    assert combined["seeds"] == [7]
    assert combined["overall"]["bits_per_switch_seeds_ci"] is None
    assert combined["overall"]["bits_ci"] == [0, 1]
    assert combined["fit_seconds"] == 0.1
    assert "by_seed" not in combined


def test_scores_on_different_recordings_are_never_pooled() -> None:
    tables = [table(0.1), table(0.9, trials=["001"]), table(0.3, 1)]
    combined = [(one["trials"], one["seeds"], one["overall"]["bits_per_switch"]) for one in seeds.summarise(tables)]
    assert combined == [(["000"], [0, 1], pytest.approx(0.2)), (["001"], [0], 0.9)]
    with pytest.raises(StreamError, match="trials is not the same"):
        seeds.combine_seeds(tables)


def scores(folder: Path) -> dict[str, Any]:
    return json.loads((folder / jobs.SCORES).read_text())


@pytest.mark.slow
def test_the_bootstrap_of_the_mean_draws_the_same_blocks_for_all_seeds(markov_models: list[Path]) -> None:
    outcomes = [read_outcomes(folder) for folder in markov_models]
    combined = seeds.combine_seeds([scores(folder) for folder in markov_models], outcomes)
    mean = dataclasses.replace(outcomes[0], bits=np.mean([one.bits for one in outcomes], axis=0))
    single = scores_module.score_outcomes(mean)["contested"]
    assert combined["contested"]["bits_per_switch"] == pytest.approx(single["bits_per_switch"])  # type: ignore[index]
    assert combined["contested"]["bits_ci"] == pytest.approx(single["bits_ci"])  # type: ignore[index]
    for part in scores_module.PARTS:
        for name in ("top1", "top3", "macro_recall", "time_crps_us", "calibration_error", "joint_bits"):
            low, high = combined[part][f"{name}_ci"]
            assert low <= combined[part][name] <= high
            assert combined[part][f"{name}_seeds_ci"] is not None


def test_the_average_of_one_seed_is_its_own_table(markov_models: list[Path]) -> None:
    stored, (outcomes,) = scores(markov_models[2]), [read_outcomes(markov_models[2])]
    average = scores_module.average_seeds([outcomes])
    for part, table in average.items():
        assert json.loads(json.dumps(table)) == {name: stored[part][name] for name in table}


def test_seeds_of_other_events_are_refused(markov_models: list[Path]) -> None:
    outcomes = [read_outcomes(folder) for folder in markov_models[:2]]
    outcomes[1] = dataclasses.replace(outcomes[1], contested=~outcomes[1].contested)
    with pytest.raises(StreamError, match="scored on other events"):
        scores_module.average_seeds(outcomes)
