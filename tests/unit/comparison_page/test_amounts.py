"""Effects as text: units, digits, signs, and what is beyond reading."""

from __future__ import annotations

import math

import compared
import pytest

from harness.comparison_page import amounts


@pytest.mark.parametrize(
    ("scale", "value", "text"),
    [
        ("ratio", 0.031, "+3.1\u202f%"),
        ("ratio", -0.0042, "\u22120.42\u202f%"),
        ("ratio", 1.5, "+150\u202f%"),
        ("ratio", 11.3, "×12.3"),  # noqa: RUF001 - the sign of a factor
        ("ratio", 0.0, "0.00\u202f%"),
        ("ratio", math.inf, "–"),  # noqa: RUF001 - what stands for no value
        ("share", 0.006, "+0.60\u202fpoints"),
        ("bits", -0.0123, "\u22120.012\u202fbits"),
    ],
)
def test_an_effect_has_the_unit_of_its_scale(scale: amounts.Scale, value: float, text: str) -> None:
    assert amounts.with_unit(scale, value) == text


def test_an_interval_has_as_many_digits_as_its_effect() -> None:
    effect = compared.effect("requests/s", 0.031, 0.024)
    assert (amounts.effect_text(effect), amounts.interval_text(effect)) == ("+3.1\u202f%", "[+1.9, +4.3]")


def test_too_few_blocks_have_their_range_and_no_interval() -> None:
    effect = compared.effect("requests/s", 0.031, interval=None, range=(0.01, 0.05), outcome="too few")
    assert amounts.interval_text(effect) == "blocks +1.0 to +5.0"
    assert amounts.outcome_text(effect) == "too few blocks to say"


def test_a_distance_that_would_be_shown_as_zero_is_said_to_be_less_than_the_last_digit() -> None:
    assert amounts.size("share", 0.00002) == "<\u202f0.01\u202fpoints"
    assert amounts.size("share", 0.0) == "0.00\u202fpoints"
    assert amounts.size("ratio", 0.012) == "1.2\u202f%"


def test_a_difference_is_better_or_worse_only_where_the_metric_has_a_better_way() -> None:
    assert amounts.outcome_text(compared.effect("requests/s", 0.03)) == "higher, better"
    assert amounts.outcome_text(compared.effect("wakeup latency p99", 0.03)) == "higher, worse"
    assert amounts.outcome_text(compared.effect("switches/s", 0.03)) == "higher"
    assert amounts.outcome_text(compared.effect("switches/s", 0.0, p=0.3, outcome="cannot say")) == "cannot say"
    assert amounts.way(compared.effect("requests/s", 0.001, outcome="no different")) == ""


def test_a_difference_that_is_sure_but_too_small_to_matter_is_said_to_be() -> None:
    effect = compared.effect("wakeup latency p50", 0.0006, 0.0008, equivalence_p=0.001)
    assert amounts.outcome_text(effect) == "higher, worse, but within ±1.0\u202f%"


def test_half_is_as_far_from_zero_as_double() -> None:
    assert amounts.length_of("ratio", 1.0) == pytest.approx(-amounts.length_of("ratio", -0.5))
    assert math.isfinite(amounts.length_of("ratio", -1.0))  # it fell to nothing
