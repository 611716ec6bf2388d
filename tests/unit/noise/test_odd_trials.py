"""Trials that differ from the others of their arm, and arms whose trials lie far apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.noise.odd_trials import NOISE_KEYS, Spread, compared, odd_trials, spreads
from harness.noise.within_trial import standard_errors


def trial(name: str, requests: float | None = 400.0, arm: str = "nginx_ab", **changes: Any) -> dict[str, Any]:
    record = {
        "name": name,
        "arm": arm,
        "metrics": {} if requests is None else {"requests_per_s": requests},
        "switches": 20_000,
        "contested_share": 0.7,
        "quality": {"span_ns": 10_000_000_000},
    }
    return {**record, **changes}


def arm_of(*requests: float | None) -> list[dict[str, Any]]:
    return [trial(f"{index:03d}", value) for index, value in enumerate(requests)]


def test_a_trial_far_from_the_others_is_marked_with_what_the_others_have() -> None:
    (odd,) = odd_trials(arm_of(420.0, 421.0, 419.0, 210.0))
    assert (odd.trial, odd.metric, odd.value, odd.others_mean, odd.others_sd) == ("003", "requests/s", 210, 420, 1)
    assert odd.text == "003: 210 requests/s, the other trials of nginx_ab 420 (standard deviation 1)"


def test_trials_that_agree_within_five_percent_are_not_marked_however_small_their_noise() -> None:
    assert odd_trials(arm_of(420.0, 420.0, 420.0, 400.0)) == []


def test_a_trial_within_the_noise_of_the_others_is_not_marked() -> None:
    assert odd_trials(arm_of(300.0, 420.0, 360.0, 450.0)) == []


def test_the_noise_within_the_other_trials_counts_as_well() -> None:
    values = [20_000, 20_010, 19_990, 18_000]
    steady = [trial(f"{index:03d}", switches=value) for index, value in enumerate(values)]
    noisy = [{**one, "noise": {"switches_per_s": 100.0}} for one in steady]
    assert [(odd.trial, odd.metric) for odd in odd_trials(steady)] == [("003", "switches/s")]
    assert odd_trials(noisy) == []


def test_requests_have_no_noise_within_a_trial() -> None:
    assert set(standard_errors(np.arange(1000) * 10**6, np.ones(1000, bool))) == set(NOISE_KEYS.values())
    assert set(compared(trial("000"))) - set(NOISE_KEYS) == {"requests/s"}


@pytest.mark.parametrize(("change", "metric"), [({"switches": 9_000}, "switches/s"), ({"contested_share": 0.9}, None)])
def test_switches_and_contested_share_are_compared_too(change: dict[str, Any], metric: str | None) -> None:
    (odd,) = odd_trials([*arm_of(400.0, 400.0), trial("odd", 400.0, **change)])
    assert (odd.trial, odd.metric) == ("odd", metric or "contested share")


def test_two_trials_are_too_few_to_call_one_odd() -> None:
    assert odd_trials(arm_of(59.0, 218.0)) == []


def test_arms_and_clocks_are_not_mixed() -> None:
    two_arms = [*arm_of(400.0, 400.0), *(trial(f"b{i}", 100.0, arm="idle") for i in range(2))]
    counted = [trial(f"c{i}", 100.0, machine={"clock": "counted", "cpu_speed": 125}) for i in range(2)]
    assert odd_trials(two_arms) == []
    assert odd_trials([*arm_of(400.0, 400.0), *counted]) == []
    assert spreads([*arm_of(400.0, 400.0), *counted]) == []


def test_an_arm_of_two_clocks_is_named_with_its_clock() -> None:
    counted = [trial(f"c{i}", value, machine={"clock": "counted"}) for i, value in enumerate([100.0, 150.0])]
    assert [spread.arm for spread in spreads([*arm_of(400.0), *counted])] == ["nginx_ab (counted 125 clock)"]


def test_a_spread_is_told_from_two_trials_on() -> None:
    assert spreads(arm_of(59.0, 155.0, 218.0)) == [Spread("nginx_ab", "requests/s", 59.0, 218.0)]
    assert spreads(arm_of(59.0, 218.0))[0].text == "requests/s from 59 to 218 across the trials of nginx_ab"
    assert spreads(arm_of(400.0, 410.0)) == []


def test_trials_without_a_metric_or_a_recording_are_passed_over() -> None:
    bare = [{"name": "a", "arm": "x"}, {"name": "b", "arm": "x", "quality": None}, {}]
    assert odd_trials(bare) == spreads(bare) == []
    assert odd_trials(arm_of(None, None, None)) == []
    assert [odd.trial for odd in odd_trials([*arm_of(420.0, 421.0, 300.0), bare[0]])] == ["002"]


@given(st.lists(st.floats(1.0, 1e6), min_size=3, max_size=8))
def test_every_mark_is_more_than_five_percent_off(requests: list[float]) -> None:
    for odd in odd_trials(arm_of(*requests)):
        assert abs(odd.value - odd.others_mean) > 0.05 * odd.others_mean
        assert abs(odd.value - odd.others_mean) > 2.5 * odd.others_sd
