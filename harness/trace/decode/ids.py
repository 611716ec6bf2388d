"""Which attr a sample is of, by the id in it."""

from __future__ import annotations

import numpy as np

from harness.trace.decode.gather import Array

_TABLE_LIMIT = 1 << 20  # the kernel counts ids up from small numbers, so a plain table nearly always does


class Ids:
    """Looks up many ids at once. `known` are all ids, sorted."""

    def __init__(self, places: dict[int, int]) -> None:
        numbers = sorted(places)
        self.known = np.array(numbers, dtype=np.uint64)
        self._places = np.array([places[number] for number in numbers] + [-1], dtype=np.int32)
        self._table: Array | None = None
        if numbers and numbers[-1] < _TABLE_LIMIT:
            self._table = np.full(numbers[-1] + 2, -1, np.int32)
            self._table[numbers] = self._places[:-1]

    def places(self, ids: Array) -> Array:
        """The place of each id's attr (int32), -1 for an unknown id."""
        if self._table is not None:
            return self._table[np.minimum(ids, len(self._table) - 1).astype(np.int64)]
        found = np.searchsorted(self.known, ids)
        known = (
            self.known[np.minimum(found, len(self.known) - 1)] == ids if len(self.known) else np.zeros(len(ids), bool)
        )
        return np.where(known, self._places[found], -1)
