"""What stands above a result that the method calls sure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import campaign_run

from harness.comparison import Comparison, compare

RATES = [400.0, 402.0, 399.0, 401.0, 398.0, 403.0, 400.0, 401.0, 402.0, 398.0, 399.0, 404.0]
FIRST, SECOND, AGAIN = "ab__concurrency-2", "ab__concurrency-8", "ab__concurrency-2__again"


def with_equals(path: Path, changes: Sequence[float]) -> Comparison:
    """Twelve blocks; the twin of the first arm has so many thousandths more requests."""
    again = [rate * (1 + change / 1000) for rate, change in zip(RATES, changes, strict=True)]
    return compare([campaign_run.make(path, {FIRST: RATES, SECOND: [1.1 * rate for rate in RATES], AGAIN: again})])


def test_equals_that_differ_a_little_in_nearly_every_block_are_a_doubt_though_no_alarm(tmp_path: Path) -> None:
    found = with_equals(tmp_path / "run", [2, 2, 2, -1.6, 2, 2, 2, 2, -1.6, 2, 2, 2])
    (doubt,) = [text for text in found.warnings if text.startswith("two equals seem to differ")]
    assert "requests/s +0.14 %" in doubt
    assert not [text for text in found.warnings if text.startswith("alarm")]


def test_equals_that_differ_by_chance_alone_are_no_doubt(tmp_path: Path) -> None:
    assert not [text for text in with_equals(tmp_path / "run", [2, -2] * 6).warnings if "equals" in text]


def test_equals_differ_in_what_the_arms_do_not_without_a_doubt(tmp_path: Path) -> None:
    again = [rate * (1.002 if block % 6 != 3 else 0.9984) for block, rate in enumerate(RATES)]
    found = compare([campaign_run.make(tmp_path / "run", {FIRST: RATES, SECOND: RATES, AGAIN: again})])
    assert found.null
    assert found.null.effect("requests/s").p < 0.01
    assert found.warnings == ()


def ran_for(path: Path, first_s: float, second_s: float, *named: str) -> Comparison:
    metrics = {FIRST: [{"seconds": first_s}] * len(RATES), SECOND: [{"seconds": second_s}] * len(RATES)}
    return compare([campaign_run.make(path, {FIRST: RATES, SECOND: RATES}, metrics=metrics)], metrics=named or None)


def test_loads_that_ran_for_two_lengths_of_time_are_a_doubt(tmp_path: Path) -> None:
    (doubt,) = ran_for(tmp_path / "run", 25.3, 30.7).warnings
    assert "25.3 s on concurrency 2 and for 30.7 s on concurrency 8" in doubt


def test_sides_that_are_recorded_for_two_times_are_meant_to_run_for_two_lengths(tmp_path: Path) -> None:
    arms = {"ab__seconds-10": RATES, "ab__seconds-20": RATES}
    metrics = {arm: [{"seconds": ran_for_s}] * len(RATES) for arm, ran_for_s in zip(arms, (11.0, 21.0), strict=True)}
    run = campaign_run.make(tmp_path / "run", arms, metrics=metrics)
    assert not [text for text in compare([run]).warnings if "the load ran for" in text]


def test_loads_that_ran_about_as_long_are_none(tmp_path: Path) -> None:
    assert ran_for(tmp_path / "run", 21.1, 21.4).warnings == ()


def test_loads_that_do_not_say_how_long_they_ran_are_none(tmp_path: Path) -> None:
    assert compare([campaign_run.make(tmp_path / "run", {FIRST: RATES, SECOND: RATES})]).warnings == ()


def test_how_long_loads_ran_is_no_doubt_about_what_the_trace_shows(tmp_path: Path) -> None:
    assert ran_for(tmp_path / "run", 25.3, 30.7, "wakeup").warnings == ()


def pooled(path: Path, *times: float) -> Comparison:
    """Two runs in which the second arm has so many times the requests of the first."""
    runs = enumerate(times)
    arms = [{FIRST: RATES, SECOND: [rate * by + block % 3 for block, rate in enumerate(RATES)]} for by in times]
    return compare([campaign_run.make(path / f"run{number}", arms[number]) for number, _ in runs])


def test_runs_of_which_each_block_is_beyond_all_of_the_other_run_disagree(tmp_path: Path) -> None:
    (doubt,) = pooled(tmp_path, 1.1, 1.7).warnings
    assert doubt.startswith("the runs disagree in requests/s (+10.25 % in run0, +70.25 % in run1)")


def test_runs_whose_blocks_overlap_agree(tmp_path: Path) -> None:
    assert pooled(tmp_path, 1.1, 1.102).warnings == ()
