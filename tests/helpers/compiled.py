"""Exported C, compiled by gcc and called through ctypes."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from model.data.streams import Stream

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]


class Event(ctypes.Structure):
    _fields_ = [("mark", ctypes.c_int32), ("end_state", ctypes.c_int32), ("slice_ns", ctypes.c_int64)]


class CPrediction(ctypes.Structure):
    _fields_ = [("mark", ctypes.c_int32), ("probability", ctypes.c_double)]


class Compiled:
    """One exported predictor with the state of one stream."""

    def __init__(self, source: Path, marks: int, flags: tuple[str, ...] = ("-O2", "-ffp-contract=off")) -> None:
        library = source.with_suffix(".so")
        subprocess.run(["gcc", *flags, *STRICT, "-shared", "-fPIC", "-o", library, source], check=True)
        loaded, name = ctypes.CDLL(str(library)), source.stem
        self.marks, self.loaded = marks, loaded
        self._init, self._step = getattr(loaded, f"{name}_init"), getattr(loaded, f"{name}_step")
        self._init.restype = self._step.restype = CPrediction
        self._distribution, size = getattr(loaded, f"{name}_distribution"), getattr(loaded, f"{name}_state_bytes")
        size.restype = ctypes.c_size_t
        self.state = ctypes.create_string_buffer(size())

    def names(self, array: str) -> list[str]:
        """Return the strings of an exported array."""
        return [text.decode() for text in (ctypes.c_char_p * self.marks).in_dll(self.loaded, array)]

    def init(self) -> CPrediction:
        """Predict a stream's first event."""
        return self._init(self.state)

    def step(self, mark: int, end_state: int, slice_ns: int) -> CPrediction:
        """Read one event and predict the next."""
        return self._step(self.state, ctypes.byref(Event(mark, end_state, slice_ns)))

    def distribution(self) -> np.ndarray:
        """Return the probabilities (marks,) after the last call."""
        probability = np.empty(self.marks)
        self._distribution(self.state, probability.ctypes.data_as(ctypes.POINTER(ctypes.c_double)))
        return probability

    def walk(self, stream: Stream) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return most likely marks (n,), their probabilities (n,) and distributions (n, marks), before each event."""
        marks, probabilities, distributions = [], [], []
        prediction = self.init()
        for event in zip(stream.mark.tolist(), stream.end_state.tolist(), stream.slice_ns.tolist(), strict=True):
            marks.append(prediction.mark)
            probabilities.append(prediction.probability)
            distributions.append(self.distribution())
            prediction = self.step(*event)
        return np.array(marks), np.array(probabilities), np.array(distributions)
