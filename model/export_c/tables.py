"""Tables of counts as C: contexts in a hash table, each with the most likely mark worked out."""

from __future__ import annotations

import numpy as np

from model.counts.nested import NestedCounts
from model.export_c.literals import filled, real, whole
from model.export_c.parts import Parts
from model.predictors.count_based import CountBased
from model.predictors.slice_markov import SliceMarkov

CHUNK = 4096  # contexts worked out at a time
ROOM = 2  # slots for each context, at least: then most are found where they are first looked for
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio (Knuth, The Art of Computer Programming 3, 6.4)


def parts(name: str, counted: CountBased) -> Parts:
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
    """What leads from each context to the longer ones, shortest first, and what each foresees."""
    levels = counts.levels[: used + 1]
    starts = np.cumsum([0, *(len(level.key) for level in levels)])  # the number of each level's first context
    above = zip(levels[1:], starts[:-1], strict=False)
    keys = np.concatenate([np.zeros(0, np.int64), *(level.key + start * counts.values for level, start in above)])
    bits, slot_key, slot_context = slots(keys + 1, np.arange(1, len(keys) + 1))
    mark, probability = _foreseen(counts, used)
    return [
        f"enum {{ VALUES = {counts.values}, SLOT_BITS = {bits}, STRENGTH = {counts.strength} }};",
        whole("slot_key", slot_key),
        whole("slot_context", slot_context),
        whole("best_mark", mark),
        real("best_probability", probability, "double"),
    ]


def slots(keys: np.ndarray, values: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """An open hash table with linear probing: the binary logarithm of its size, its keys (0 is free), its values.

    keys: distinct and above zero. Half of the slots or more are free.
    """
    bits = max(int(len(keys) * ROOM - 1).bit_length(), 1) if len(keys) else 1
    slot_key, slot_value = np.zeros(1 << bits, np.int64), np.zeros(1 << bits, np.int64)
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        slot = (key * GOLDEN % 2**64) >> (64 - bits)
        while slot_key[slot]:
            slot = (slot + 1) % (1 << bits)
        slot_key[slot], slot_value[slot] = key, value
    return bits, slot_key, slot_value


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
