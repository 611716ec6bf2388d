from __future__ import annotations

import numpy as np
import pytest

from model.bootstrap import interval, over_seeds


def test_the_interval_holds_the_mean_and_shrinks_with_more_events() -> None:
    draw = np.random.default_rng(0)
    few, many = draw.uniform(size=4_000), draw.uniform(size=64_000)
    narrow, wide = interval(many), interval(few)
    assert narrow is not None
    assert wide is not None
    assert narrow[0] < 0.5 < narrow[1]
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2


def test_runs_of_equal_outcomes_widen_the_interval() -> None:
    single = np.random.default_rng(1).integers(0, 2, 20_000)
    in_runs = np.repeat(single[:200], 100)
    narrow, wide = interval(single), interval(in_runs)
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])


def test_a_weight_of_zero_takes_an_event_out() -> None:
    value = np.concatenate([np.zeros(5_000), np.ones(5_000)])
    found = interval(value, weight=value)
    assert found == pytest.approx((1.0, 1.0))


def test_too_few_events_have_no_interval() -> None:
    assert interval(np.ones(15)) is None
    assert interval(np.ones(1000), np.zeros(1000)) is None


def test_the_interval_over_seeds_is_students() -> None:
    low, high = over_seeds([1.0, 2.0, 3.0]) or (0, 0)
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3)
    assert over_seeds([1.0]) is None
