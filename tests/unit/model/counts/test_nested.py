from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.counts.nested import STRENGTHS, NestedCounts


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


def test_a_strength_leaves_as_many_times_more_to_shorter_contexts() -> None:
    counts, _ = fitted([0, 1, 0, 1, 0, 2], depth=1, size=4)
    counts.strength = 4
    empty = (np.array([3, 2, 1, 0]) + 4 * 3 * 0.25) / (6 + 4 * 3)
    after_zero = (np.array([0, 2, 1, 0]) + 4 * 2 * empty) / (3 + 4 * 2)
    assert counts.probabilities(np.array([[0]]))[0] == pytest.approx(after_zero)


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 4))
def test_the_strength_that_is_chosen_costs_the_fewest_bits(seed: int, depth: int, parts: int) -> None:
    draw = np.random.default_rng(seed)
    context, symbol = draw.integers(0, 3, (90, depth)), draw.integers(0, 5, 90)
    counts = NestedCounts(5, 3, depth)
    counts.fit(context[:40], symbol[:40])
    held_out = [(context[part::parts], symbol[part::parts]) for part in range(parts)]
    bits = counts.choose(held_out, [depth])
    total_bits = {}
    for counts.strength in STRENGTHS:
        probability = counts.probabilities(context)
        total_bits[counts.strength] = -np.log2(probability[np.arange(90), symbol]).sum()
    assert bits[depth] == pytest.approx(min(total_bits.values()))
    counts.choose(held_out, [depth])
    assert total_bits[counts.strength] == pytest.approx(min(total_bits.values()))


def test_misleading_rare_contexts_get_a_larger_strength() -> None:
    draw = np.random.default_rng(0)
    context, symbol = draw.integers(0, 200, (4_000, 2)), draw.integers(0, 4, 4_000)
    misled, reliable = NestedCounts(4, 200, 2), NestedCounts(4, 200, 2)
    misled.fit(context[:2_000], symbol[:2_000])
    misled.choose([(context[2_000:], symbol[2_000:])], [2])
    reliable.fit(context[:2_000], context[:2_000].sum(axis=1) % 4)
    reliable.choose([(context[:2_000], context[:2_000].sum(axis=1) % 4)], [2])
    assert (misled.strength, reliable.strength) == (max(STRENGTHS), 1)


def test_an_unseen_context_has_the_probabilities_of_the_shorter_one() -> None:
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


def test_restored_arrays_give_the_same_table() -> None:
    counts, context = fitted([0, 1, 2, 2, 1, 0, 0, 1], depth=3, size=3)
    counts.strength = 8
    other = NestedCounts(3, 4, 3)
    other.restore(counts.arrays())
    assert np.array_equal(counts.probabilities(context), other.probabilities(context))


def test_a_table_stored_without_a_strength_predicts_as_it_did() -> None:
    counts, context = fitted([0, 1, 2, 2, 1, 0, 0, 1], depth=3, size=3)
    old = NestedCounts(3, 4, 3)
    old.restore({name: array for name, array in counts.arrays().items() if name != "strength"})
    assert np.array_equal(counts.probabilities(context), old.probabilities(context))
