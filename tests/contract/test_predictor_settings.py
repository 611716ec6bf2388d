"""The contract of every setting: both ends of its range, and each choice, can be fitted to a short recording."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.data import streams, synthetic
from model.errors import SettingError, StreamError
from model.predictor import ignore_progress
from model.predictors import REPRODUCTIONS, create, find, installed
from model.settings import SETTINGS

SMALL: dict[str, dict[str, Any]] = {
    **{kind: {"hidden": 4, "max_epochs": 1} for kind in ("lstm", "gru", "mingru", "transformer", "rmtpp", "nhp")},
    "gradient_boosting": {"rounds": 2, "leaves": 3},
    "replay_residual": {"rounds": 2},
    **{kind: {"sequences": 34, "steps": 1} for kind in REPRODUCTIONS},
}


class EnoughSeenError(Exception):
    """Ends a training that is under way."""


def stop_after_two_reports() -> Any:
    reports = iter((False, False))

    def on_progress(what: str, done: float, total: float | None) -> None:
        if total and next(reports, True):
            raise EnoughSeenError

    return on_progress


def extremes() -> list[Any]:
    cases = []
    for kind, settings in SETTINGS.items():
        for name, described in settings.model_json_schema()["properties"].items():
            for choice in described.get("anyOf", [described]):
                cases += [_case(kind, name, value) for value in _ends(choice)]
    return cases


def _case(kind: str, name: str, value: Any) -> Any:
    slow = [pytest.mark.slow] if (name, value) in (("hidden", 1024), ("rounds", 2000)) else []
    return pytest.param(kind, name, value, id=f"{kind}-{name}-{value}", marks=slow)


def _ends(choice: dict[str, Any]) -> list[Any]:
    if choice["type"] == "boolean":
        return [True, False]
    if choice["type"] in ("null", "string"):
        return choice.get("enum", [None])
    return [choice.get("minimum", 5e-324), choice["maximum"]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> streams.Dataset:
    folder = tmp_path_factory.mktemp("short") / "000_short"
    synthetic.write(folder, synthetic.Source(tasks=3, seed=5), events=500)
    return streams.load([folder])


@pytest.mark.parametrize(("kind", "name", "value"), extremes())
def test_an_accepted_value_can_be_fitted(kind: str, name: str, value: Any, dataset: streams.Dataset) -> None:
    if not installed(kind):
        pytest.skip("its library is not installed")
    predictor = create(kind, {**SMALL.get(kind, {}), name: value})
    if name == "sequences" and value != 34:  # the one setting that asks for events
        with pytest.raises(StreamError, match="too few for"):
            predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
        return
    try:
        predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), stop_after_two_reports())
    except EnoughSeenError:
        return
    assert np.isfinite(predictor.predict(dataset.test[0]).log_probs).all()


@pytest.mark.parametrize("seed", [-1, 2**31, 1.0, True, None, "1", float("nan")], ids=repr)
@pytest.mark.parametrize("kind", [kind for kind in SETTINGS if installed(kind)])
def test_a_wrong_seed_is_refused(kind: str, seed: object) -> None:
    with pytest.raises(SettingError, match="seed"):
        create(kind, {"seed": seed})


@pytest.mark.parametrize("kind", [kind for kind in SETTINGS if installed(kind) and find(kind).seeded])
def test_the_largest_seed_can_be_fitted(kind: str, dataset: streams.Dataset) -> None:
    predictor = create(kind, {**SMALL.get(kind, {}), "seed": 2**31 - 1})
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), stop_after_two_reports())
