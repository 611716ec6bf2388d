from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.counts import NestedCounts


def fitted(symbols: list[int], depth: int, size: int) -> tuple[NestedCounts, np.ndarray]:
    padded = np.array([size] * depth + symbols)
    context = np.stack([padded[depth - lag : len(padded) - lag] for lag in range(1, depth + 1)], axis=1)
    counts = NestedCounts(size, size + 1, depth)
    counts.fit(context, np.array(symbols))
    return counts, context


def test_witten_bell_by_hand() -> None:
    counts, _ = fitted([0, 1, 0, 1, 0, 2], depth=1, size=4)
    empty = (np.array([3, 2, 1, 0]) + 3 * 0.25) / (6 + 3)
    assert counts.probabilities(np.array([[0]]), depth=0)[0] == pytest.approx(empty)
    after_zero = (np.array([0, 2, 1, 0]) + 2 * empty) / (3 + 2)
    assert counts.probabilities(np.array([[0]]))[0] == pytest.approx(after_zero)


def test_a_context_never_seen_says_what_the_shorter_one_says() -> None:
    counts, _ = fitted([0, 1, 0, 1, 0, 1], depth=2, size=3)
    never, shorter = np.array([[1, 1]]), np.array([[1, 0]])
    assert counts.probabilities(never)[0] == pytest.approx(counts.probabilities(shorter, depth=1)[0])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 4))
def test_probabilities_are_positive_and_add_up(symbols: list[int], depth: int) -> None:
    counts, context = fitted(symbols, depth, 5) if depth else (NestedCounts(5, 6, 0), np.zeros((len(symbols), 0), int))
    counts.fit(context, np.array(symbols))
    probability = counts.probabilities(
        np.concatenate([context, np.random.default_rng(0).integers(0, 6, context.shape)])
    )
    assert (probability > 0).all()
    assert probability.sum(axis=1) == pytest.approx(1)


def test_arrays_bring_back_the_same_table() -> None:
    counts, context = fitted([0, 1, 2, 2, 1, 0, 0, 1], depth=3, size=3)
    other = NestedCounts(3, 4, 3)
    other.restore(counts.arrays())
    assert np.array_equal(counts.probabilities(context), other.probabilities(context))
