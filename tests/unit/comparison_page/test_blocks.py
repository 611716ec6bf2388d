"""The blocks in the order of time: gaps, boots, late blocks, and the numbers of all."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import compared

from harness.comparison import Effect
from harness.comparison_page import forest
from harness.comparison_page.blocks import BlocksFigure, block_rows, slots
from harness.comparison_page.effect_axis import EffectAxis


def figure(*effects: Effect) -> BlocksFigure:
    return BlocksFigure(tuple(slots(effects)))


def test_a_lost_block_is_a_gap_and_the_line_through_the_others_stops_there() -> None:
    effect = compared.effect("requests/s", 0.03)
    effect = replace(effect, blocks=tuple(one for one in effect.blocks if one.block != 3))
    drawn = figure(effect)
    assert [slot.block for slot in drawn.slots if slot.lost] == [3]
    assert [slot.block for slot in drawn.slots] == list(range(8))
    panel = str(drawn.panel(effect))
    assert panel.count('class="lost"') == 2  # above and below
    (course,) = re.findall(r'class="course" d="([^"]*)"', panel)
    assert course.count("M") == 2


def test_a_block_that_one_metric_lacks_is_no_gap_for_the_others() -> None:
    whole, part = compared.effect("requests/s", 0.03), compared.effect("idle share", 0.03)
    part = replace(part, blocks=part.blocks[1:])
    assert figure(whole, part).lost == 0


def test_a_late_block_stands_where_it_was_recorded_and_has_a_mark_of_its_own() -> None:
    effect = compared.effect("requests/s", 0.03)
    late = replace(effect.blocks[2], late=True, recorded_at="2026-11-30T10:59:00.000Z")
    effect = replace(effect, blocks=(*effect.blocks[:2], *effect.blocks[3:], late))
    drawn = figure(effect)
    assert [slot.block for slot in drawn.slots] == [0, 1, 3, 4, 5, 6, 7, 2]
    assert drawn.late == 1
    assert 'class="dot effect late"' in str(drawn.panel(effect))


def test_boots_are_separated_unless_each_block_has_its_own() -> None:
    own = compared.effect("requests/s", 0.03)
    assert figure(own).has_own_boot == "block"
    assert "apart" not in str(figure(own).panel(own))
    shared = replace(own, blocks=tuple(replace(one, boot=f"boot-{one.block // 4}") for one in own.blocks))
    assert figure(shared).has_own_boot == ""
    assert str(figure(shared).panel(shared)).count('class="apart boot"') == 2


def test_arms_that_need_machines_of_their_own_have_a_boot_for_each_trial() -> None:
    effect = compared.effect("requests/s", 0.03)
    boots = [f"own-{one.block}, other-{one.block}" for one in effect.blocks]
    blocks = tuple(replace(one, boot=boot) for one, boot in zip(effect.blocks, boots, strict=True))
    assert figure(replace(effect, blocks=blocks)).has_own_boot == "trial"


def test_runs_follow_each_other_and_are_separated() -> None:
    effect = compared.effect("requests/s", 0.03, blocks=3)
    second = tuple(replace(one, run="second", recorded_at=f"2026-12-01{one.recorded_at[10:]}") for one in effect.blocks)
    both = replace(effect, blocks=effect.blocks + second)
    drawn = figure(both)
    assert drawn.runs == ["run", "second"]
    assert not drawn.several_boots
    assert str(drawn.panel(both)).count('class="apart run"') == 2


def test_a_thousand_blocks_are_a_few_paths() -> None:
    effect = compared.effect("requests/s", 0.03, blocks=1000)
    panel = str(figure(effect).panel(effect))
    assert panel.count("<path") < 20
    assert len(panel) < 120_000


def test_all_effects_of_all_blocks_can_be_saved() -> None:
    effects = [compared.effect("requests/s", 0.03), compared.effect("idle share", 0.01)]
    head, *rows = block_rows(effects)
    assert len(rows) == 16
    assert dict(zip(head, rows[0], strict=True))["metric"] == "requests/s"


def test_a_ratio_without_bounds_is_drawn_and_saved_without_a_number() -> None:
    effect = replace(compared.effect("requests/s", 1.0), value=math.inf, interval=None, range=(0.1, math.inf))
    effect = replace(effect, blocks=tuple(replace(one, value=math.inf) for one in effect.blocks))
    assert "nan" not in str(figure(effect).panel(effect))
    assert "nan" not in str(forest.row(effect, EffectAxis.around([effect])))
    assert json.loads(json.dumps(block_rows([effect])[1:], allow_nan=False))[0][-1] is None
