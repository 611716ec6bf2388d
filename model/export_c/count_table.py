"""Export of tables of counts: contexts in a hash table, each with its most likely mark computed beforehand."""

from __future__ import annotations

import numpy as np

from model.counts.nested import NestedCounts
from model.export_c.literals import fill, float_array, int_array
from model.export_c.parts import Parts
from model.predictors.count_based import CountBased
from model.predictors.slice_markov import SliceMarkov

CHUNK = 4096  # contexts whose probabilities are computed at once
MIN_SLOTS = 2  # per context: most are then found in the first slot looked at
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio (Knuth, The Art of Computer Programming 3, 6.4)


def write_parts(name: str, counted: CountBased) -> Parts:
    """Export the counts down to the depth in use. The same as `NestedCounts.probabilities`, bit for bit."""
    slices = isinstance(counted, SliceMarkov)
    width = 2 if slices else 1  # columns per event
    columns = max(width, -(-counted.used // width) * width)
    data = [*_nodes(counted.counts, counted.used), *_entries(counted.counts, counted.used)]
    if isinstance(counted, SliceMarkov):
        edges = float_array("class_edge_us", counted.edges_us, "double")
        data = [f"enum {{ CLASSES = {counted.classes} }};", edges, *data]
    push = fill("push_slices.c" if slices else "push_marks.c", name=name)
    code = fill("table.c", name=name, columns=columns, depth=counted.used, data="\n".join(data), push=push)
    member = f"    int32_t context[{columns}]; /* the latest event first */"
    return Parts((member,), code, "Probabilities are those of the checkpoint, bit for bit.")


def _nodes(counts: NestedCounts, used: int) -> list[str]:
    """Return the hash table from each context to the next longer ones, and the prediction of each context."""
    levels = counts.levels[: used + 1]
    starts = np.cumsum([0, *(len(level.key) for level in levels)])  # each level's first context
    above = zip(levels[1:], starts[:-1], strict=False)
    keys = np.concatenate([np.zeros(0, np.int64), *(level.key + start * counts.values for level, start in above)])
    bits, slot_key, slot_context = slots(keys + 1, np.arange(1, len(keys) + 1))
    mark, probability = _predictions(counts, used)
    return [
        f"enum {{ VALUES = {counts.values}, SLOT_BITS = {bits}, STRENGTH = {counts.strength} }};",
        int_array("slot_key", slot_key),
        int_array("slot_context", slot_context),
        int_array("best_mark", mark),
        float_array("best_probability", probability, "double"),
    ]


def slots(keys: np.ndarray, values: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return a hash table with linear probing: the binary logarithm of its size, its keys (0 if free), its values.

    keys: distinct and above zero. At least half of the slots stay free.
    """
    bits = max(int(len(keys) * MIN_SLOTS - 1).bit_length(), 1) if len(keys) else 1
    slot_key, slot_value = np.zeros(1 << bits, np.int64), np.zeros(1 << bits, np.int64)
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        slot = (key * GOLDEN % 2**64) >> (64 - bits)
        while slot_key[slot]:
            slot = (slot + 1) % (1 << bits)
        slot_key[slot], slot_value[slot] = key, value
    return bits, slot_key, slot_value


def _predictions(counts: NestedCounts, used: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the most likely mark of each context (contexts,) and its probability."""
    marks, probabilities = [], []
    for depth, context in enumerate(_contexts(counts, used)):
        for begin in range(0, len(context), CHUNK):
            distribution = counts.probabilities(context[begin : begin + CHUNK], depth)
            marks.append(distribution.argmax(axis=1))
            probabilities.append(distribution.max(axis=1))
    return np.concatenate(marks), np.concatenate(probabilities)


def _contexts(counts: NestedCounts, used: int) -> list[np.ndarray]:
    """Return, for each depth, the values (contexts, depth) of each context, the most recent first."""
    contexts = [np.zeros((1, 0), np.int64)]
    for level in counts.levels[1 : used + 1]:
        before = contexts[-1][level.key // counts.values]
        contexts.append(np.concatenate([before, (level.key % counts.values)[:, None]], axis=1))
    return contexts


def _entries(counts: NestedCounts, used: int) -> list[str]:
    """Return the marks and their counts in each context."""
    levels = counts.levels[: used + 1]
    starts = np.cumsum([0, *(len(level.symbol) for level in levels)])
    begins = [level.begin[:-1] + start for level, start in zip(levels, starts[:-1], strict=True)]
    return [
        int_array("first_entry", np.concatenate([*begins, starts[-1:]])),
        int_array("entry_mark", np.concatenate([level.symbol for level in levels])),
        int_array("entry_count", np.concatenate([level.count for level in levels])),
    ]
