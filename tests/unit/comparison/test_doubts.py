"""What stands above a result that the method calls sure."""

from __future__ import annotations

from pathlib import Path

import campaign_run

from harness.comparison import Comparison, compare

RATES = [400.0, 402.0, 399.0, 401.0, 398.0, 403.0, 400.0, 401.0]
FIRST, SECOND, AGAIN = "ab__concurrency-2", "ab__concurrency-8", "ab__concurrency-2__again"


def with_equals(path: Path, shift: float, spread: float = 0.0) -> Comparison:
    """Eight blocks; the twin of the first arm has `shift` times its requests, to and fro by `spread`."""
    again = [rate * shift * (1 + spread * (-1) ** block) for block, rate in enumerate(RATES)]
    return compare([campaign_run.make(path, {FIRST: RATES, SECOND: [1.1 * rate for rate in RATES], AGAIN: again})])


def test_equals_that_differ_a_little_in_every_block_are_a_doubt_though_no_alarm(tmp_path: Path) -> None:
    found = with_equals(tmp_path / "run", 1.002, 0.0001)
    (doubt,) = [text for text in found.warnings if text.startswith("equals differ")]
    assert "requests/s +0.2" in doubt
    assert not [text for text in found.warnings if text.startswith("alarm")]


def test_equals_that_differ_by_chance_alone_are_no_doubt(tmp_path: Path) -> None:
    assert not [text for text in with_equals(tmp_path / "run", 1.0, 0.002).warnings if "equals" in text]


def ran_for(path: Path, first_s: float, second_s: float) -> Comparison:
    metrics = {FIRST: [{"seconds": first_s}] * len(RATES), SECOND: [{"seconds": second_s}] * len(RATES)}
    return compare([campaign_run.make(path, {FIRST: RATES, SECOND: RATES}, metrics=metrics)])


def test_loads_that_ran_for_two_lengths_of_time_are_a_doubt(tmp_path: Path) -> None:
    (doubt,) = ran_for(tmp_path / "run", 25.3, 30.7).warnings
    assert "25.3 s of concurrency 2 and 30.7 s of concurrency 8" in doubt


def test_loads_that_ran_about_as_long_are_none(tmp_path: Path) -> None:
    assert ran_for(tmp_path / "run", 21.1, 21.4).warnings == ()


def test_loads_that_do_not_say_how_long_they_ran_are_none(tmp_path: Path) -> None:
    assert compare([campaign_run.make(tmp_path / "run", {FIRST: RATES, SECOND: RATES})]).warnings == ()
