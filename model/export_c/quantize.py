"""Weights of eight bits, with one scale per row, symmetric about zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.export_c.literals import float_array, int_array

QUANTIZE = ("float", "int8")
MAX_WEIGHT = 127  # without -128, so that a weight and its negative are equally exact
FIXED_POINT = 32767  # scale of the vector that a matrix is multiplied with; it lies within -1 and 1
MAX_COLUMNS = (2**31 - 1) // (MAX_WEIGHT * FIXED_POINT)  # whose products add up within 32 bits


@dataclass(frozen=True)
class Matrix:
    """A named matrix (rows, columns) that is stored in blocks of `block` rows."""

    name: str
    weight: np.ndarray
    block: int

    def data(self, quantize: str) -> list[str]:
        """Return the C constants that hold it."""
        if quantize == "float":
            return [float_array(f"{self.name}_weight", self._blocks(self.weight))]
        weight, scale = quantized(self.weight)
        scales = pad_to_block(scale / FIXED_POINT, self.block)
        return [int_array(f"{self.name}_weight", self._pairs(weight)), float_array(f"{self.name}_scale", scales)]

    def pointers(self, quantize: str) -> str:
        """Return the initialiser of its `matrix` struct in C."""
        return f"{{{self.name}_weight}}" if quantize == "float" else f"{{{self.name}_weight, {self.name}_scale}}"

    def _blocks(self, weight: np.ndarray) -> np.ndarray:
        """Return (blocks * columns * block,) weights: block after block, each column by column."""
        padded = pad_to_block(weight, self.block)
        return padded.reshape(-1, self.block, weight.shape[1]).transpose(0, 2, 1).reshape(-1)

    def _pairs(self, weight: np.ndarray) -> np.ndarray:
        """Return (blocks * pairs of columns * block * 2,) weights: as `_blocks`, with two columns of a row together."""
        even = pad_to_block(weight.T, 2).T
        padded = pad_to_block(even, self.block).reshape(-1, self.block, even.shape[1] // 2, 2)
        return padded.transpose(0, 2, 1, 3).reshape(-1)


def quantized(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return integers (rows, columns) up to MAX_WEIGHT, and the scale (rows,) that turns them back into weights."""
    largest = np.abs(weight).max(axis=1)
    scale = np.where(largest > 0, largest, 1) / MAX_WEIGHT
    return np.rint(weight / scale[:, None]).astype(np.int64), scale


def pad_to_block(values: np.ndarray, block: int) -> np.ndarray:
    """Append rows of zeros up to a whole block."""
    missing = -len(values) % block
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])
