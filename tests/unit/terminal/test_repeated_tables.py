"""The comparison of two runs as a person reads it."""

from __future__ import annotations

import io
from pathlib import Path

import comparable_run
import pytest
from rich.console import Console

from harness.comparison.repeat.repeated import MetricComparison, RepeatComparison, compare_repeated
from harness.terminal.repeated_tables import difference, repeated_tables


def shown(comparison: RepeatComparison) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    for part in repeated_tables(comparison):
        console.print(part)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def row(lines: list[str], name: str) -> list[str]:
    return next(line.split() for line in lines if line.startswith(name))


def test_each_metric_has_its_unit_and_its_difference_in_percent_points_or_bits(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", (100.0, 100.0), {"markov": [[0.80], [0.80]]})
    lines = shown(
        compare_repeated(first, comparable_run.make(tmp_path / "second", (102.0, 102.0), {"markov": [[0.85], [0.85]]}))
    )
    assert row(lines, "requests/s") == ["requests/s", "100.0", "102.0", "/s", "+2.00", "%", "±0.00", "%", "differs"]
    assert row(lines, "markov: contested")[3:] == [
        "80.00",
        "85.00",
        "%",
        "+5.00",
        "points",
        "±0.00",
        "points",
        "differs",
    ]
    assert row(lines, "markov: bits")[2:7] == ["0.400", "0.300", "bits", "-0.100", "bits"]


@pytest.mark.parametrize("change", [0.0, 1e-6, -1e-6])
def test_a_difference_that_is_shown_as_zero_has_no_sign(change: float) -> None:
    share = MetricComparison("ab", "idle", False, "share", 0.1, 0.1 + change, (3, 3), (1, 1), 0.0, 1.0, 1.0, 1.0, 1.0)
    assert difference(share) == "0.00 points"


def test_one_trial_each_shows_a_question_mark_for_the_noise(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", (100.0,))
    lines = shown(compare_repeated(first, comparable_run.make(tmp_path / "second", (150.0,))))
    assert row(lines, "requests/s")[6:] == ["?", "cannot", "say"]


def test_several_arms_have_a_column_and_digests_are_shortened(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", arms=("a", "b[red]"))
    second = comparable_run.make(tmp_path / "second", arms=("a", "b[red]"), box={"digest": "c" * 64})
    lines = shown(compare_repeated(first, second))
    assert row(lines, "b[red]")[1] == "requests/s"
    assert row(lines, "box digest")[2:] == [comparable_run.DIGEST[:12], "c" * 12]


def test_metrics_of_one_run_only_are_listed(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", scores={"markov": [[0.8], [0.81], [0.8]]})
    lines = shown(compare_repeated(first, comparable_run.make(tmp_path / "second")))
    assert "only in the first: nginx_ab markov: accuracy, nginx_ab markov: contested accuracy" in "\n".join(lines)


def test_a_metric_of_a_recording_that_chance_explains_is_said_to_be_one() -> None:
    row = MetricComparison("ab", "requests/s", False, "rate", 100.0, 102.0, (3, 3), (1, 1), 1.5, 1.0, 1.0, 0.03, 1.0)
    found = RepeatComparison("first", "second", (row,), {}, ())
    assert found.equal
    assert "cannot say, of a recording: it is beyond its noise; chance gives one such metric now and then" in shown(
        found
    )
