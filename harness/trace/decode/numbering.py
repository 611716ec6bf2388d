"""Numbers for values that are many and differ little."""

from __future__ import annotations

import numpy as np

from harness.trace.decode.gather import Array


class Numbers:
    """Numbers integers in the order in which they are first met."""

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}

    def encode(self, values: Array) -> Array:
        """A number (int32) for each of `values`."""
        distinct, local = np.unique(values, return_inverse=True)
        numbers = [self.codes.setdefault(value, len(self.codes)) for value in distinct.tolist()]
        return np.array(numbers, np.int32)[local.reshape(-1)] if numbers else np.zeros(0, np.int32)
