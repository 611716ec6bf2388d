"""Whole distributions of two sides: curves with bands, and the shift of each quantile."""

from __future__ import annotations

import math
from pathlib import Path

import campaign_run
import numpy as np
import pytest

from harness.comparison import compare
from harness.comparison.distribution import Distribution, distributions


def of(tmp_path: Path, blocks: int, **options: bool) -> tuple[Distribution, ...]:
    rates = [400.0 + block for block in range(blocks)]
    second = [rate * 1.2 * math.exp(0.01 * math.cos(11 * block)) for block, rate in enumerate(rates)]
    return distributions(compare([campaign_run.make(tmp_path / "run", {"a": rates, "b": second}, **options)]))


def test_every_quantile_shifts_as_the_slices_do_and_the_curves_rise_from_zero_to_one(tmp_path: Path) -> None:
    lengths, latencies = of(tmp_path, 8)
    assert (lengths.name, latencies.name, lengths.unit, lengths.is_band) == (
        "slice length",
        "wakeup latency",
        "ns",
        True,
    )
    for shift in lengths.shifts:
        assert shift.value == pytest.approx(0.2, abs=0.01)
        assert shift.interval is not None
        assert shift.interval.holds(shift.value)
    for curve in (lengths.first, lengths.second, latencies.first):
        assert np.all(np.diff(curve.mean) >= 0)
        assert np.all((curve.low <= curve.mean + 1e-9) & (curve.mean <= curve.high + 1e-9))
        assert 0 <= curve.mean[0] < 0.05 < 0.95 < curve.mean[-1] <= 1
    assert np.all(lengths.second.mean <= lengths.first.mean + 1e-9)  # its slices are longer


def test_few_blocks_have_a_range_and_no_interval(tmp_path: Path) -> None:
    lengths, _ = of(tmp_path, 3)
    assert not lengths.is_band
    assert all(shift.interval is None for shift in lengths.shifts)


def test_trials_without_a_tracer_have_no_distribution(tmp_path: Path) -> None:
    assert of(tmp_path, 6, slices=False) == ()
