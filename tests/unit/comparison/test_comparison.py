"""Two arms compared: block by block, and what may be said of them."""

from __future__ import annotations

import math
from pathlib import Path

import campaign_run
import pytest

from harness.comparison import Comparison, compare
from harness.errors import UsageError


def shifted(tmp_path: Path, blocks: int, by: float = 1.05) -> Comparison:
    """Two arms with the spread of 1 % between blocks, of which the second has `by` times the requests."""
    rates = [400.0 * math.exp(0.01 * math.sin(7 * block)) for block in range(blocks)]
    noise = [math.exp(0.002 * math.cos(11 * block)) for block in range(blocks)]
    arms = {"ab__concurrency-2": rates, "ab__concurrency-8": [r * by * n for r, n in zip(rates, noise, strict=True)]}
    return compare([campaign_run.make(tmp_path / "run", arms)])


def test_the_blocks_cancel_what_both_arms_share(tmp_path: Path) -> None:
    effect = shifted(tmp_path, 12).effect("requests/s")
    assert effect.interval is not None
    assert effect.interval.holds(0.05)
    assert effect.interval.width < 0.004  # the arms themselves spread by 1.4 %
    assert effect.outcome == "higher"
    assert [block.block for block in effect.blocks] == list(range(12))


def test_five_blocks_have_an_effect_and_its_range_but_no_p_value(tmp_path: Path) -> None:
    effect = shifted(tmp_path, 5).effect("requests/s")
    assert effect.value == pytest.approx(0.05, abs=0.003)
    assert effect.range == (min(b.value for b in effect.blocks), max(b.value for b in effect.blocks))
    assert (effect.interval, effect.p, effect.p_adjusted, effect.outcome) == (None, None, None, "too few")


def test_a_run_with_one_arm_cannot_be_compared(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"ab": [400.0] * 6})
    with pytest.raises(UsageError, match="there is one arm only, ab"):
        compare([run])


def test_one_run_given_twice_is_refused(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"a": [400.0] * 6, "b": [401.0] * 6})
    with pytest.raises(UsageError, match="given twice"):
        compare([run, run])
