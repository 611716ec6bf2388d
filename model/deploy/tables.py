"""Tables of counts as C: a tree of contexts, each with the most likely mark worked out."""

from __future__ import annotations

import numpy as np

from model.counts import NestedCounts
from model.deploy.literals import filled, real, whole
from model.deploy.parts import Parts
from model.predictors.counted import Counted
from model.predictors.slice_markov import SliceMarkov

CHUNK = 4096  # contexts worked out at a time


def parts(name: str, counted: Counted) -> Parts:
    """The counts down to the depth that is used. Bit for bit what `NestedCounts.probabilities` gives."""
    slices = isinstance(counted, SliceMarkov)
    each = 2 if slices else 1
    columns = max(each, -(-counted.used // each) * each)
    data = [*_nodes(counted.counts, counted.used), *_entries(counted.counts, counted.used)]
    if isinstance(counted, SliceMarkov):
        edges = real("class_edge_us", counted.edges_us, "double")
        data = [f"enum {{ CLASSES = {counted.classes} }};", edges, *data]
    push = filled("push_slices.c" if slices else "push_marks.c", name=name)
    code = filled("table.c", name=name, columns=columns, depth=counted.used, data="\n".join(data), push=push)
    member = f"    int32_t context[{columns}]; /* the latest event first */"
    return Parts((member,), code, "Probabilities are those of the checkpoint, bit for bit.")


def _nodes(counts: NestedCounts, used: int) -> list[str]:
    """Contexts, shortest first, as a tree, and what each foresees."""
    levels = counts.levels[: used + 1]
    sizes = [len(level.key) for level in levels]
    starts = np.cumsum([0, *sizes[:-2]])[: len(sizes) - 1]  # of the level above
    parents = [level.key // counts.values + start for level, start in zip(levels[1:], starts, strict=True)]
    value = np.concatenate([[0], *(level.key % counts.values for level in levels[1:])])
    children = np.bincount(np.concatenate([np.zeros(0, np.int64), *parents]), minlength=sum(sizes))
    first_child = 1 + np.concatenate([[0], np.cumsum(children)])
    mark, probability = _foreseen(counts, used)
    return [
        whole("first_child", first_child),
        whole("context_value", value),
        whole("best_mark", mark),
        real("best_probability", probability, "double"),
    ]


def _foreseen(counts: NestedCounts, used: int) -> tuple[np.ndarray, np.ndarray]:
    """(nodes,) most likely mark and its probability."""
    marks, probabilities = [], []
    for depth, context in enumerate(_contexts(counts, used)):
        for begin in range(0, len(context), CHUNK):
            found = counts.probabilities(context[begin : begin + CHUNK], depth)
            marks.append(found.argmax(axis=1))
            probabilities.append(found.max(axis=1))
    return np.concatenate(marks), np.concatenate(probabilities)


def _contexts(counts: NestedCounts, used: int) -> list[np.ndarray]:
    """For each depth (contexts, depth): the values that lead to each node."""
    contexts = [np.zeros((1, 0), np.int64)]
    for level in counts.levels[1 : used + 1]:
        before = contexts[-1][level.key // counts.values]
        contexts.append(np.concatenate([before, (level.key % counts.values)[:, None]], axis=1))
    return contexts


def _entries(counts: NestedCounts, used: int) -> list[str]:
    """What each context counted."""
    levels = counts.levels[: used + 1]
    starts = np.cumsum([0, *(len(level.symbol) for level in levels)])
    begins = [level.begin[:-1] + start for level, start in zip(levels, starts[:-1], strict=True)]
    return [
        whole("first_entry", np.concatenate([*begins, starts[-1:]])),
        whole("entry_mark", np.concatenate([level.symbol for level in levels])),
        whole("entry_count", np.concatenate([level.count for level in levels])),
    ]
