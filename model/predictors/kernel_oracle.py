"""The network of the KernelOracle paper as a predictor: trained by `model.nn.kernel_oracle`, scored like any other.

Squared error on one column per task is least at the task's probability (Brier, Monthly Weather Review 78, 1950), so
that the columns, kept above a floor and made to add up to one, are a forecast. The floor is chosen on validation. The
network foresees the time as one number; slice lengths are scored by the histograms of the predictors that count.

A scrambled layout has no next row: what the network is trained to continue are cells of rows far apart, so there is no
top-1 on what it was trained for. What can be asked is what it says when it is shown events in order, and that is what
is scored here under every set of choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
import torch

from model.counts.slice_histograms import SliceHistograms
from model.data.lags import column_of, past_marks
from model.data.streams import Segment
from model.density import Histogram
from model.nn import kernel_oracle
from model.predictor import OnProgress, Prediction
from model.settings import Range

WARM_UP = 512  # events read before a segment, to bring the memory up to date
FLOORS = (1e-4, 1e-3, 1e-2, 1e-1)
LAGS = 2  # marks that the slice histograms look back at


class Paper:
    """Every setting left out is as the subclass's `recipe` has it; `max_events` bounds what is learned from.

    Training takes 20 passes over it a step, in double precision: minutes for tens of thousands of events.
    """

    inputs = "slices"
    seeded = True  # the recipe has one seed, which is 0 here
    recipe = kernel_oracle.CORRECTED
    cells: kernel_oracle.Cells
    layout: kernel_oracle.Layout
    slices: SliceHistograms

    def __init__(
        self,
        scrambled: bool | None = None,
        overlapping: bool | None = None,
        scaling: str | None = None,
        outlier: str | None = None,
        steps: int | None = None,
        sequences: int | None = None,
        max_events: Annotated[int | None, Range(1)] = None,
        seed: Annotated[int, Range(0)] = 0,
    ) -> None:
        asked: dict[str, Any] = {
            "scrambled": scrambled,
            "overlapping": overlapping,
            "scaling": scaling,
            "outlier": outlier,
        }
        asked |= {"steps": steps, "sequences": sequences}
        given = {name: value for name, value in asked.items() if value is not None}
        self.choices = kernel_oracle.Choices(**{**asdict(self.recipe), **given})
        self.max_events, self.seed, self.floor = max_events, seed, FLOORS[0]

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {**asdict(self.choices), "max_events": self.max_events, "seed": self.seed}

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Train on the train part, where the recipe also takes its own test from; a row of the curve per step."""
        mark, slice_ns = column_of(train, "mark")[: self.max_events], column_of(train, "slice_ns")[: self.max_events]
        self.layout = kernel_oracle.Layout.of(mark, slice_ns, self.choices)
        self.cells, curve = kernel_oracle.train(mark, slice_ns, self.choices, on_progress, self.seed)
        self.slices = SliceHistograms(marks, LAGS)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
            self.floor = self._best_floor(valid)
        return curve.history()

    def predict(self, segment: Segment) -> Prediction:
        """One pass over the segment, the memory warmed up on up to WARM_UP events before it."""
        raw, _ = self._foresee(segment)
        return Prediction(np.log(self._probabilities(raw, self.floor)), self.slices.predict(segment))

    def session(self, segment: Segment) -> PaperSession:
        """Walk on from before the segment's first event."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        raw, memory = self._foresee(first)
        return PaperSession(self, raw[0], memory, past_marks([first], LAGS, self.slices.absent)[0].tolist())

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights, columns and scales, the floor, and the histograms."""
        weights = {f"cells.{name}": weight.numpy() for name, weight in self.cells.state_dict().items()}
        scale = np.array([self.layout.offset_ns, self.layout.spread_ns, self.floor])
        shape = {"marks": np.array([self.slices.absent]), "columns": self.layout.names, "scale": scale}
        return {**shape, **weights, **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        offset_ns, spread_ns, self.floor = (float(value) for value in arrays["scale"])
        self.layout = kernel_oracle.Layout(np.array(arrays["columns"]), offset_ns, spread_ns)
        self.slices = SliceHistograms(int(arrays["marks"][0]), LAGS)
        self.slices.restore(arrays)
        self.cells = kernel_oracle.Cells(1 + len(self.layout.names)).double()
        weights = {name[6:]: array for name, array in arrays.items() if name.startswith("cells.")}
        self.cells.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})

    @torch.no_grad()
    def _foresee(self, segment: Segment) -> tuple[np.ndarray, kernel_oracle.Memory]:
        """(n, columns) raw rows foreseen for the segment's events, and the memory before the last of them is seen."""
        stream, start = segment.stream, max(0, segment.start - WARM_UP)
        seen = slice(max(0, start - 1), segment.stop - 1)
        given = self.layout.rows(stream.mark[seen], np.maximum(stream.slice_ns[seen], 1))
        if start == 0:  # nothing lies before a stream's first event: an empty row stands for it
            given = np.concatenate([np.zeros((1, given.shape[1])), given])
        told, memory = self.cells.run(torch.from_numpy(given)[None])
        return told[0, segment.start - start :].numpy(), memory

    def _probabilities(self, raw: np.ndarray, floor: float) -> np.ndarray:
        """(n, marks) from raw rows; a mark without a column gets the floor."""
        found = np.full((len(raw), self.slices.absent), floor)
        found[:, self.layout.names] = np.maximum(raw[:, 1:], floor)
        return found / found.sum(axis=1, keepdims=True)

    def _best_floor(self, valid: Sequence[Segment]) -> float:
        raw, mark = np.concatenate([self._foresee(segment)[0] for segment in valid]), column_of(valid, "mark")

        def bits(floor: float) -> float:
            return float(-np.log2(self._probabilities(raw, floor)[np.arange(len(mark)), mark]).mean())

        return min(FLOORS, key=bits)


class PaperAsCoded(Paper):
    """As the published code has it."""

    recipe = kernel_oracle.AS_CODED


class PaperAsWritten(Paper):
    """As the text has it, where it differs from the code."""

    recipe = kernel_oracle.AS_WRITTEN


class PaperCorrected(Paper):
    """Events in order, tested on what was not trained on, the outlier kept."""

    recipe = kernel_oracle.CORRECTED


class PaperSession:
    """The memory of one stream, and the row foreseen for its next event."""

    def __init__(self, network: Paper, raw: np.ndarray, memory: kernel_oracle.Memory, past: list[int]) -> None:
        self.network, self.raw, self.memory, self.past = network, raw, memory, past

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        return self.network._probabilities(self.raw[None], self.network.floor)[0]

    def slice_of(self, mark: int) -> Histogram:
        """The density of the next slice, should `mark` be picked."""
        return self.network.slices.after_marks(mark, self.past)

    @torch.no_grad()
    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Take one step with what happened."""
        row = self.network.layout.rows(np.array([mark]), np.array([slice_us * 1e3]))
        told, self.memory = self.network.cells.run(torch.from_numpy(row)[None], self.memory)
        self.raw, self.past = told[0, 0].numpy(), [mark, *self.past[: LAGS - 1]]
