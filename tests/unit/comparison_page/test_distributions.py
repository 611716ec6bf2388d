"""Whole distributions: both curves with their bands on one axis of time, and the shift of each quantile."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.comparison import Interval
from harness.comparison.distribution import Curve, Distribution, QuantileShift
from harness.comparison_page import distributions as curves
from harness.report.svg import Scale


def distribution(points: int = 50, low: float = 1e3, high: float = 1e7) -> Distribution:
    """The second side lasts twice as long; the bands are 0.1 wide."""
    grid = np.geomspace(low, high, points)
    first = np.clip(np.linspace(-0.2, 1.2, points), 0, 1)
    second = np.clip(np.linspace(-0.3, 1.1, points), 0, 1)
    sides = [Curve(side, np.clip(side - 0.05, 0, 1), np.clip(side + 0.05, 0, 1)) for side in (first, second)]
    shifts = tuple(QuantileShift(q, 1e4, 2e4, 1.0, Interval(0.9, 1.1)) for q in (0.5, 0.99))
    return Distribution("slice length", "ns", grid, *sides, shifts, True)


def _heights(path: str) -> list[float]:
    return [float(pair.split()[1]) for pair in path.strip("MZ").replace("M", "L").split("L") if pair]


def test_both_curves_rise_from_nothing_to_all_and_differ_in_more_than_colour() -> None:
    drawn = str(curves.ecdf(distribution()))
    paths = dict(re.findall(r'class="side (\w+)" d="([^"]*)"', drawn))
    assert set(paths) == {"first", "second"}
    for path in paths.values():
        heights = _heights(path)
        assert heights == sorted(heights, reverse=True)  # 0 is the top
    assert drawn.count('class="band') == 2


def test_the_part_of_the_axis_where_nothing_happens_is_left_out() -> None:
    whole = distribution()
    drawn = str(curves.ecdf(whole))
    ticks = re.findall(r'y="16"[^>]*>([^<]*)<', drawn)
    assert ticks
    first = next(path for side, path in re.findall(r'class="side (\w+)" d="([^"]*)"', drawn) if side == "first")
    assert _heights(first)[-1] == pytest.approx(0.0)
    assert len(_heights(first)) < len(whole.grid)


@pytest.mark.parametrize(("low", "high", "count"), [(5e4, 4e6, 6), (1e2, 1e9, 8), (1.1e3, 1.3e3, 0)])
def test_ticks_are_round_durations(low: float, high: float, count: int) -> None:
    ticks = curves.time_ticks(Scale(low, high, log=True))
    assert len(ticks) == count
    assert all(low <= tick <= high for tick in ticks)


def test_a_distribution_of_one_value_is_drawn() -> None:
    step = Distribution(
        "wakeup latency", "ns", np.geomspace(1e3, 1.01e3, 5),
        *(Curve(np.ones(5), np.ones(5), np.ones(5)) for _ in range(2)), (), False,
    )  # fmt: skip
    assert "nan" not in str(curves.ecdf(step))
    assert curves.largest_gap(step) == 0
    assert "<svg" in str(curves.shift_axis(step.shifts).draw())


def test_a_shift_has_its_interval_and_is_a_diamond_only_if_that_excludes_zero() -> None:
    surely, perhaps, few = (
        QuantileShift(0.99, 1e4, 1.1e4, 0.1, interval) for interval in (Interval(0.05, 0.15), Interval(-0.1, 0.3), None)
    )
    axis = curves.shift_axis([surely, perhaps, few])
    styles = [
        re.findall(r'class="mark ([\w-]+)"', str(curves.shift_row(shift, axis))) for shift in (surely, perhaps, few)
    ]
    assert styles == [["differs"], ["cannot-say"], ["too-few"]]
    assert curves.shift_text(surely) == "+10.0\u202f% [+5.0, +15.0]"
    assert curves.shift_text(few) == "+10.0\u202f%"
    assert [curves.quantile(q) for q in (0.05, 0.5, 0.999)] == ["p5", "median", "p99.9"]


def test_both_curves_can_be_saved() -> None:
    head, *rows = curves.curve_rows(distribution())
    assert head == ["up_to_ns", "first", "first_low", "first_high", "second", "second_low", "second_high"]
    assert len(rows) == 50
