"""The rows of all metrics: axes by scale, marks by outcome, and what lies beyond an axis."""

from __future__ import annotations

import re

import compared
import pytest

from harness.comparison_page import forest
from harness.comparison_page.effect_axis import EffectAxis


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


@pytest.mark.parametrize("outcome", ["higher", "lower", "no different", "cannot say"])
def test_the_shape_of_a_mark_says_its_outcome(outcome: str) -> None:
    effect = compared.effect("requests/s", 0.001, outcome=outcome)
    drawn = str(forest.row(effect, EffectAxis.around([effect])))
    style = "differs" if outcome in ("higher", "lower") else outcome.replace(" ", "-")
    assert re.findall(r'class="mark ([^"]*)"', drawn) == [style]
    assert f'class="interval {style}"' in drawn
    assert drawn.count("aria-label") == 1


def test_a_range_is_dotted_and_no_interval() -> None:
    effect = compared.effect("requests/s", 0.05, outcome="too few", interval=None)
    assert 'class="interval too-few"' in str(forest.row(effect, EffectAxis.around([effect])))
    assert not forest.panels([effect])[0].has_intervals


def test_an_interval_is_drawn_as_one_also_where_blocks_are_too_few_for_the_number_of_metrics() -> None:
    assert forest.style_of(compared.effect("requests/s", 0.05, outcome="too few")) == "cannot-say clear"
    assert forest.style_of(compared.effect("requests/s", 0.001, outcome="too few")) == "cannot-say"


def test_what_is_open_only_after_the_correction_has_a_mark_of_its_own_and_says_so() -> None:
    effect = compared.effect("requests/s", 0.05, outcome="cannot say", p=0.008, p_adjusted=0.16)
    assert forest.style_of(effect) == "cannot-say clear"
    assert "cannot say: p 0.16 after correction" in str(forest.row(effect, EffectAxis.around([effect])))


def test_a_lone_row_far_beyond_the_others_becomes_an_arrow_with_its_number_and_they_keep_their_axis() -> None:
    near = [compared.effect(f"load {name}/s", 0.01 * sign) for name, sign in (("a", 1), ("b", -1), ("c", 2))]
    far = compared.effect("load d/s", 30.0, 1.0)
    axis = EffectAxis.around([*near, far])
    assert axis.half < 0.1
    drawn = str(forest.row(far, axis))
    assert drawn.count('class="arrow"') == 1
    assert ">×31<" in drawn  # noqa: RUF001 - the sign of a factor
    assert 'class="mark' not in drawn
    assert 'class="arrow"' not in str(forest.row(near[0], axis))


def test_an_interval_that_goes_on_beyond_the_axis_has_an_arrow_and_its_mark() -> None:
    near = [compared.effect(f"{name} share", 0.01) for name in "abcd"]
    wide = compared.effect("e share", 0.02, 0.8)
    drawn = str(forest.row(wide, EffectAxis.around([*near, wide])))
    assert drawn.count('class="arrow"') == 2
    assert 'class="mark' in drawn


def test_equals_are_drawn_on_the_axes_of_the_result() -> None:
    result = forest.panels([compared.effect("requests/s", 0.5)])
    equals = forest.panels([compared.effect("requests/s", 0.001)], {panel.kind: panel.axis for panel in result})
    assert equals[0].axis == result[0].axis
