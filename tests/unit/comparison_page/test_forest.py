"""The rows of all metrics: axes by scale, marks by outcome, and what lies beyond an axis."""

from __future__ import annotations

import re

import compared
import pytest

from harness.comparison_page import forest


def test_ratios_points_and_bits_have_an_axis_each() -> None:
    effects = [
        compared.effect("requests/s", 0.03),
        compared.effect("idle share", 0.01),
        compared.effect("gru: bits/switch", -0.02),
        compared.effect("switches/s", 0.02),
    ]
    panels = forest.panels(effects)
    names = {panel.kind: [effect.metric.name for effect in panel.effects] for panel in panels}
    assert names == {"ratio": ["requests/s", "switches/s"], "share": ["idle share"], "bits": ["gru: bits/switch"]}


@pytest.mark.parametrize("outcome", ["higher", "lower", "no different", "cannot say", "too few"])
def test_the_shape_of_a_mark_says_its_outcome(outcome: str) -> None:
    effect = compared.effect("requests/s", 0.03, outcome=outcome)
    drawn = str(forest.row(effect, forest.effect_scale([effect])))
    style = "differs" if outcome in ("higher", "lower") else outcome.replace(" ", "-")
    assert re.findall(r'class="mark ([^"]*)"', drawn) == [style]
    assert f'class="interval {style}"' in drawn
    assert drawn.count("aria-label") == 1


def test_a_row_far_beyond_all_others_becomes_an_arrow_with_its_number_and_the_others_keep_their_axis() -> None:
    near = [compared.effect(f"load {name}/s", 0.01 * sign) for name, sign in (("a", 1), ("b", -1), ("c", 2))]
    far = compared.effect("load d/s", 30.0, 1.0)
    scale = forest.effect_scale([*near, far])
    assert scale.high < 0.1
    drawn = str(forest.row(far, scale))
    assert drawn.count('class="arrow"') >= 1
    assert ">×31<" in drawn  # noqa: RUF001 - the sign of a factor
    assert 'class="mark' not in drawn
    assert 'class="arrow"' not in str(forest.row(near[0], scale))


def test_a_single_metric_is_never_beyond_its_axis_however_large() -> None:
    effect = compared.effect("requests/s", 49.0, 5.0)
    scale = forest.effect_scale([effect])
    assert 'class="mark differs"' in str(forest.row(effect, scale))
    assert ">×" in str(forest.effect_axis("ratio", scale))  # noqa: RUF001 - the sign of a factor


def test_an_axis_reaches_past_the_margin_and_has_zero_on_it() -> None:
    effect = compared.effect("idle share", 0.00001, 0.00001, detectable=None)
    scale = forest.effect_scale([effect])
    assert scale.high > effect.metric.margin
    assert 0.0 in forest.tick_values("share", scale)


def test_a_metric_that_fell_to_nothing_is_drawn() -> None:
    effect = compared.effect("requests/s", -1.0, 0.0)
    assert "<svg" in str(forest.row(effect, forest.effect_scale([effect])))


def test_equals_are_drawn_on_the_axes_of_the_result() -> None:
    result = forest.panels([compared.effect("requests/s", 0.5)])
    equals = forest.panels([compared.effect("requests/s", 0.001)], {panel.kind: panel.scale for panel in result})
    assert equals[0].scale == result[0].scale
