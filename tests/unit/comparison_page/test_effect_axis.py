"""The axis of effects: symmetrical, with zero and round values on it, and bent where effects differ a hundredfold."""

from __future__ import annotations

import re
from itertools import pairwise

import compared
import pytest

from harness.comparison_page.effect_axis import EffectAxis


def around(*values: float, name: str = "load {}/s", width: float = 0.004) -> EffectAxis:
    return EffectAxis.around([compared.effect(name.format(value), value, width) for value in values])


@pytest.mark.parametrize("values", [(0.03,), (0.0,), (49.0,), (-0.9,), (-1.0,), (0.001, 3.0, 2.9), (0.01, 0.02, 500.0)])
def test_every_axis_has_zero_in_the_middle_and_its_ticks_in_order(values: tuple[float, ...]) -> None:
    axis = around(*values)
    assert axis.position(0.0) == 50
    ticks = axis.ticks()
    assert 0.0 in ticks
    assert len(ticks) >= 3
    positions = [axis.position(tick) for tick in ticks]
    assert all(left < right for left, right in pairwise(positions))
    assert len(re.findall("<text", str(axis.draw()))) <= 12


def test_half_is_as_far_as_double() -> None:
    axis = around(1.2)
    assert axis.position(1.0) - 50 == pytest.approx(50 - axis.position(-0.5))


def test_a_single_metric_is_never_beyond_its_axis_however_large() -> None:
    assert around(49.0).holds(49.0)


def test_small_and_huge_ratios_can_both_be_read_on_a_bent_axis() -> None:
    axis = around(0.03, 2.9, 3.6, 1.1, -0.2)
    assert axis.bend is not None
    assert axis.holds(3.6)
    assert axis.position(0.03) > 60  # a linear one has it at 51
    assert axis.position(0.01) - 50 == pytest.approx(50 - axis.position(1 / 1.01 - 1))
    assert "logarithmic beyond ±1\u202f%" in str(axis.draw())


def test_similar_effects_have_a_linear_axis() -> None:
    axis = around(0.03, 0.05, -0.02)
    assert axis.bend is None
    assert axis.text(0.05) == "+5\u202f%"


def test_the_axis_reaches_past_the_margin_also_where_nothing_differs() -> None:
    axis = around(0.0, name="idle share{}", width=0.0)
    assert axis.holds(0.01)


def test_a_margin_of_nothing_is_no_reason_to_fail() -> None:
    from dataclasses import replace

    effect = compared.effect("requests/s", 0.5)
    assert EffectAxis.around([replace(effect, metric=replace(effect.metric, margin=0.0))]).bend is None


def test_ticks_of_bits_and_points_are_in_their_units() -> None:
    assert around(0.1, 0.2, name="gru{}: bits/switch").text(0.1) == "+0.1"
    assert around(0.03, name="idle{} share").text(0.02) == "+2"
