"""Weights in eight bits: one scale a row, symmetric about zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.export_c.literals import real, whole

QUANTIZE = ("float", "int8")
FURTHEST = 127  # -128 is left out, so that a weight and its negative are as exact as each other
FIXED_POINT = 32767  # of what a matrix is multiplied with, which lies within -1 and 1
WIDEST = (2**31 - 1) // (FURTHEST * FIXED_POINT)  # columns whose products add up within 32 bits


@dataclass(frozen=True)
class Matrix:
    """A matrix (rows, columns) under a name, its rows to be filled up to whole blocks of `block`."""

    name: str
    weight: np.ndarray
    block: int

    def data(self, quantize: str) -> list[str]:
        """The constants that hold it."""
        if quantize == "float":
            return [real(f"{self.name}_weight", self._blocks(self.weight))]
        weight, scale = rounded(self.weight)
        scales = filled_up(scale / FIXED_POINT, self.block)
        return [whole(f"{self.name}_weight", self._pairs(weight)), real(f"{self.name}_scale", scales)]

    def pointers(self, quantize: str) -> str:
        """Its `matrix` in C."""
        return f"{{{self.name}_weight}}" if quantize == "float" else f"{{{self.name}_weight, {self.name}_scale}}"

    def _blocks(self, weight: np.ndarray) -> np.ndarray:
        """(blocks * columns * block,): block after block, each column by column."""
        padded = filled_up(weight, self.block)
        return padded.reshape(-1, self.block, weight.shape[1]).transpose(0, 2, 1).reshape(-1)

    def _pairs(self, weight: np.ndarray) -> np.ndarray:
        """(blocks * pairs of columns * block * 2,): as `_blocks`, two columns of a row side by side."""
        even = filled_up(weight.T, 2).T
        padded = filled_up(even, self.block).reshape(-1, self.block, even.shape[1] // 2, 2)
        return padded.transpose(0, 2, 1, 3).reshape(-1)


def rounded(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers (rows, columns) within FURTHEST, and what one of them is worth in each row (rows,)."""
    largest = np.abs(weight).max(axis=1)
    scale = np.where(largest > 0, largest, 1) / FURTHEST
    return np.rint(weight / scale[:, None]).astype(np.int64), scale


def filled_up(values: np.ndarray, block: int) -> np.ndarray:
    """Zeros after the last row, up to a whole block."""
    missing = -len(values) % block
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])
