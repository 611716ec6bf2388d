from __future__ import annotations

import numpy as np
import pytest

from model.errors import SettingError
from model.predictors import create
from model.predictors.replay_residual import ReplayResidual
from model.settings import MIN_SWITCHES

MILLISECONDS = "a number from 0.1 to 1,000, or null"


@pytest.mark.parametrize(
    ("kind", "setting", "value", "expected"),
    [
        ("replay_residual", "most", 0, "a whole number from 50 to 10,000,000"),
        ("replay_residual", "most", 1, "a whole number from 50 to 10,000,000"),
        ("replay_residual", "rounds", 0, "a whole number from 1 to 2,000"),
        ("replay_residual", "depth", 0, "a whole number from 1 to 32"),
        ("replay_residual", "depth", 33, "a whole number from 1 to 32"),
        ("eevdf_replay", "base_slice_ms", -1, MILLISECONDS),
        ("eevdf_replay", "base_slice_ms", 0, MILLISECONDS),
        ("eevdf_replay", "base_slice_ms", float("nan"), MILLISECONDS),
        ("cfs_replay", "latency_ms", 0, MILLISECONDS),
        ("cfs_replay", "latency_ms", float("inf"), MILLISECONDS),
        ("cfs_replay", "wakeup_granularity_ms", -0.5, "a number from 0 to 1,000, or null"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(kind: str, setting: str, value: float, expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        create(kind, {setting: value})
    assert str(caught.value) == f"{kind}.{setting} {value!r}: expected {expected}"


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("replay_residual", {"rounds": 1, "depth": 1, "most": MIN_SWITCHES, "seed": 0}),
        ("eevdf_replay", {"base_slice_ms": 0.1}),
        ("eevdf_replay", {"base_slice_ms": None}),
        ("cfs_replay", {"latency_ms": 1000, "wakeup_granularity_ms": 0}),
    ],
)
def test_the_ends_of_a_range_belong_to_it(kind: str, settings: dict[str, float]) -> None:
    assert create(kind, settings).settings().items() >= settings.items()


@pytest.mark.parametrize(
    ("right", "wrong", "kept_right", "kept_wrong"),
    [
        (400, 100, 400, 100),  # all of them fit
        (90_000, 100, 900, 100),  # all that went wrong, and what fits
        (90_000, 9_000, 500, 500),
        (100, 90_000, 100, 900),
        (0, 90_000, 0, 1000),
    ],
)
def test_no_more_switches_are_learned_from_than_most_allows(
    right: int, wrong: int, kept_right: int, kept_wrong: int
) -> None:
    failed = np.arange(right + wrong) < wrong
    keep, weight = ReplayResidual(most=1000)._draw(failed)
    for chosen, expected, whole in ((failed, kept_wrong, wrong), (~failed, kept_right, right)):
        drawn = int((keep & chosen).sum())
        assert drawn == pytest.approx(expected, abs=0 if expected == whole else 5 * expected**0.5)
        assert weight[keep & chosen].sum() == pytest.approx(whole, rel=0.2)  # what is drawn stands for what is left out
