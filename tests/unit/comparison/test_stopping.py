"""The rule that ends a campaign once its interval is narrow enough."""

from __future__ import annotations

import json
import math
from pathlib import Path

import campaign_run
import pytest

from harness.comparison.stopping import Decision, Rule, decide
from harness.errors import UsageError
from harness.store import RunFolder

RULE = Rule(metric=None, width=0.02, max_hours=8.0, minimum=8)


def run(path: Path, blocks: int, spread: float = 0.002, **more: list[float]) -> RunFolder:
    rates = [400.0 + block for block in range(blocks)]
    second = [rate * math.exp(spread * math.cos(11 * block)) for block, rate in enumerate(rates)]
    return campaign_run.make(path, {"a": rates, "b": second, **more})


def decided(folder: RunFolder, rule: Rule = RULE, hours: float = 1.0) -> Decision:
    return decide(folder, folder.experiment, rule, hours)


def test_a_narrow_interval_ends_it_but_not_before_the_minimum(tmp_path: Path) -> None:
    few, enough = (decided(run(tmp_path / str(blocks), blocks)) for blocks in (7, 8))
    assert (few.stop, few.ended_by, few.blocks) == (False, None, 7)
    assert few.width is not None
    assert few.width < 0.02
    assert (enough.stop, enough.ended_by, enough.blocks) == (True, "width", 8)


def test_a_wide_interval_goes_on_until_the_hours_are_over(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", 12, spread=0.2)
    assert not decided(folder, hours=7.9).stop
    assert decided(folder, hours=8.0).ended_by == "max_hours"


def test_the_widest_arm_decides_and_the_null_arm_does_not(tmp_path: Path) -> None:
    wide = [400.0 * math.exp(0.2 * math.cos(7 * block)) for block in range(9)]
    assert decided(run(tmp_path / "null", 9, a__again=wide)).stop
    assert not decided(run(tmp_path / "arm", 9, c=wide)).stop


def test_five_blocks_have_no_width_and_no_block_none_either(tmp_path: Path) -> None:
    assert decided(run(tmp_path / "run", 5)) == Decision(False, None, None, 5)
    assert decided(campaign_run.make(tmp_path / "empty", {"a": [], "b": []})) == Decision(False, None, None, 0)


def test_another_metric_can_decide_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", 8)
    assert decided(folder, Rule("wakeup latency p99", 0.02, 8.0, 6)).stop
    with pytest.raises(UsageError, match="no metric 'wakup'"):
        decided(folder, Rule("wakup", 0.02, 8.0, 6))


def without_a_trace(folder: RunFolder, arm: str, *more: str) -> None:
    """Leave out of each trial of an arm what only a trace has, and `more`."""
    for path in folder.path.glob(f"trials/*_{arm}/trial.json"):
        known = json.loads(path.read_text())
        known |= {"guest_switches_per_s": 5 * known["metrics"]["requests_per_s"]}
        path.write_text(json.dumps({key: value for key, value in known.items() if key not in ("switches", *more)}))


def test_arms_with_and_without_a_tracer_are_decided_by_what_both_have(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", 8)
    without_a_trace(folder, "a")
    without_a_trace(folder, "b")
    assert decided(folder).ended_by == "width"  # by requests/s
    for path in folder.path.glob("trials/*/trial.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": {}}))
    assert decided(folder).ended_by == "width"  # by what the kernels counted


def test_one_trial_without_the_metric_does_not_end_a_campaign(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", 8)
    first = min(folder.path.glob("trials/*_b/trial.json"))
    first.write_text(json.dumps({**json.loads(first.read_text()), "metrics": {}}))
    assert decided(folder, Rule("requests/s", 0.02, 8.0, 6)) == Decision(True, "width", decided(folder).width, 7)
    alone = run(tmp_path / "alone", 1)
    (only,) = alone.path.glob("trials/*_b/trial.json")
    only.write_text(json.dumps({**json.loads(only.read_text()), "metrics": {}}))
    assert decided(alone, Rule("requests/s", 0.02, 8.0, 6)) == Decision(False, None, None, 0)
