from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from model.counts.context_tree import PRIOR, ContextTree
from model.data import streams, synthetic
from model.predictor import ignore_progress
from model.predictors import create
from model.scoring.outcomes import evaluate
from model.scoring.scores import score_outcomes


def sequence_probability(tree: ContextTree, symbols: list[int]) -> float:
    """The product of what the tree says of each symbol just before it learns it."""
    past, product = [0] * tree.depth, 1.0
    for symbol in symbols:
        product *= tree.probabilities(past)[symbol]
        tree.learn(past, symbol)
        past = [symbol, *past][: tree.depth]
    return product


def estimate(symbols: list[int], size: int) -> float:
    counts, product = [PRIOR] * size, 1.0
    for symbol in symbols:
        product *= counts[symbol] / sum(counts)
        counts[symbol] += 1
    return product


def test_depth_one_is_half_the_memoryless_and_half_the_first_order_source() -> None:
    symbols = [0, 1, 1, 0, 1, 1, 1, 0]
    after = {past: [b for a, b in itertools.pairwise([0, *symbols]) if a == past] for past in (0, 1)}
    expected = (estimate(symbols, 2) + estimate(after[0], 2) * estimate(after[1], 2)) / 2
    assert sequence_probability(ContextTree(2, 1), symbols) == pytest.approx(expected)


def test_probabilities_add_up_in_contexts_never_seen() -> None:
    tree = ContextTree(3, 4)
    sequence_probability(tree, [0, 1, 2, 0, 1, 2, 0, 1])
    for context in itertools.product(range(4), repeat=4):
        assert tree.probabilities(context).sum() == pytest.approx(1)


def test_a_tree_on_top_of_another_does_not_change_it() -> None:
    below = ContextTree(2, 2)
    sequence_probability(below, [0, 1] * 20)
    before = below.probabilities([1, 0])
    above = ContextTree(2, 2, below=below)
    assert above.probabilities([1, 0]).tolist() == before.tolist()
    for _ in range(30):
        above.learn([1, 0], 1)
    assert below.probabilities([1, 0]).tolist() == before.tolist()
    assert above.probabilities([1, 0])[1] > before[1] + 0.2


def test_it_finds_the_order_of_a_source_by_itself(dataset: streams.Dataset, source: synthetic.Source) -> None:
    ctw = create("ctw", {"depth": 6})
    ctw.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    overall = score_outcomes(evaluate(ctw, dataset.test))["overall"]
    assert overall["bits_per_switch"] == pytest.approx(source.entropy_bits(), rel=0.02)  # type: ignore[index]


def test_online_learning_follows_a_source_that_changes(dataset: streams.Dataset) -> None:
    test = dataset.test[0]
    shuffled = np.random.default_rng(0).permutation(np.arange(1, 6))
    stream = test.stream
    mark = stream.mark.copy()
    mark[test.start :] = shuffled[stream.mark[test.start :] - 1]
    moved = streams.Segment(dataclasses.replace(stream, mark=mark), test.start, test.stop)
    ctw = create("ctw", {})
    ctw.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    frozen, online = (evaluate(one, [moved]).bits[-1000:].mean() for one in (ctw, ctw.learner()))
    assert online < frozen - 0.1
