"""Export of a decision tree: one `if` per node, on integers, so that it needs neither floats nor a logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from model.export_c.literals import fill, float_array, int_array
from model.export_c.parts import Parts
from model.predictors.decision_tree import DecisionTree
from model.predictors.trees import LAGS, WINDOW

MAX_NS = 2**61  # 73 years; no slice is longer
PER_MARK = 3  # features of a tracked mark


def write_parts(name: str, tree: DecisionTree) -> Parts:
    """Export the nodes as nested ifs, and the leaves as tables."""
    leaves = np.flatnonzero(tree.tree["children_left"] < 0)
    number = {int(node): index for index, node in enumerate(leaves)}
    probability = tree.tree["leaf"][leaves]
    slots = np.full(tree.marks, -1)
    slots[tree.tracked] = np.arange(len(tree.tracked))
    data = [
        int_array("tracked_slot", slots),
        int_array("best_mark", probability.argmax(axis=1)),
        float_array("best_probability", probability.max(axis=1), "double"),
        float_array("leaf_probability", probability, "double"),
    ]
    walk = "\n".join(_walk(tree.tree, number, 0, 1))
    shape = {"lags": LAGS, "tracked_count": len(tree.tracked), "window": WINDOW}
    code = fill("tree.c", name=name, data="\n".join(data), walk=walk, **shape)
    return Parts(_state(len(tree.tracked)), code, "Probabilities are those of the checkpoint, bit for bit.")


def _state(tracked: int) -> tuple[str, ...]:
    return (
        "    int64_t events, now_ns;",
        f"    int32_t mark[{LAGS}], end_state[{LAGS}]; /* the latest event first */",
        f"    int64_t slice_ns[{LAGS}];",
        f"    int64_t last_event[{tracked}], last_ns[{tracked}]; /* when each tracked mark was last seen */",
        f"    int32_t last_state[{tracked}];",
        f"    int8_t window[{WINDOW}]; /* the tracked mark of each of the last events */",
        "    int leaf;",
    )


def _walk(tree: dict[str, np.ndarray], leaf: dict[int, int], node: int, depth: int) -> Iterator[str]:
    """Yield the lines of a node and all below it. The left branch returns, so the right one needs no `else`."""
    indent = "    " * depth
    if node in leaf:
        yield f"{indent}return {leaf[node]};"
        return
    yield f"{indent}if ({condition(int(tree['feature'][node]), float(tree['threshold'][node]))}) {{"
    yield from _walk(tree, leaf, int(tree["children_left"][node]), depth + 1)
    yield f"{indent}}}"
    yield from _walk(tree, leaf, int(tree["children_right"][node]), depth)


def condition(feature: int, threshold: float) -> str:
    """Return the condition for the left branch: `feature`, numbered as in `trees.features`, is at most `threshold`."""
    if feature < 3 * LAGS:
        kind, lag = divmod(feature, LAGS)
        if kind == 1:
            return f"state->slice_ns[{lag}] <= {_largest(_log_us, threshold)}"
        return f"state->{'mark' if kind == 0 else 'end_state'}[{lag}] <= {math.floor(threshold)}"
    slot, kind = divmod(feature - 3 * LAGS, PER_MARK)
    if kind == 0:
        return f"state->events - state->last_event[{slot}] <= {_largest(_log_events, threshold)}"
    if kind == 1:
        return f"state->now_ns - state->last_ns[{slot}] <= {_largest(_log_since, threshold)}"
    return f"state->last_state[{slot}] <= {math.floor(threshold)}"


def _largest(feature_of: Callable[[int], np.float32], threshold: float) -> int:
    """Return the largest n with `feature_of(n)` <= `threshold`, or -1. `feature_of` must not decrease."""
    low, high = -1, MAX_NS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if feature_of(middle) <= threshold else (low, middle - 1)
    return low


def _log_us(slice_ns: int) -> np.float32:
    return np.float32(np.log(max(slice_ns, 1) / 1e3))


def _log_events(events: int) -> np.float32:
    return np.float32(np.log(events) if events else -1)


def _log_since(since_ns: int) -> np.float32:
    return np.float32(np.log1p(since_ns / 1e3))
