"""The standard error of a metric within one recording."""

from __future__ import annotations

import numpy as np
import pytest

from harness.noise.within_trial import standard_errors

SECOND = 1_000_000_000


def test_a_steady_recording_has_no_error() -> None:
    times = np.arange(10_000) * (SECOND // 1000) + SECOND // 2000
    errors = standard_errors(times, np.arange(10_000) % 2 == 0)
    assert errors["switches_per_s"] == pytest.approx(0.0, abs=0.5)
    assert errors["contested_share"] == pytest.approx(0.0, abs=1e-3)


def test_a_recording_whose_halves_differ_has_a_large_error() -> None:
    slow, fast = np.arange(0, 5 * SECOND, SECOND // 100), np.arange(5 * SECOND, 10 * SECOND, SECOND // 300)
    times = np.concatenate([slow, fast])
    errors = standard_errors(times, times < 5 * SECOND)
    assert errors["switches_per_s"] == pytest.approx(100 * np.sqrt(10 / 9) / np.sqrt(10), rel=0.02)
    assert errors["contested_share"] == pytest.approx(0.5 * np.sqrt(10 / 9) / np.sqrt(10), rel=0.02)


@pytest.mark.parametrize("times", [[], [5], [0, 1, 10 * SECOND]])
def test_a_recording_with_an_empty_block_has_none(times: list[int]) -> None:
    assert standard_errors(np.array(times, np.int64), np.ones(len(times), bool)) == {}
