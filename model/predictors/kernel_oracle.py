"""The network of the KernelOracle paper as a predictor: trained by `model.nn.kernel_oracle`, scored like any other.

With one column per task, the squared error is least where each column is the probability of its task (Brier, Monthly
Weather Review 78, 1950). So the outputs, raised to a floor and scaled to add up to one, are the predicted distribution.
The floor is chosen on validation. The network predicts the time as one number; slice lengths are scored by histograms,
as for the predictors that count.

With a scrambled layout a training step mixes cells of rows far apart, so top-1 is undefined there. The scores are
always computed on events in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from model.counts.slice_histograms import SliceHistograms
from model.data.lags import column_of, past_marks
from model.data.streams import Segment
from model.density import Histogram
from model.nn import kernel_oracle
from model.one_step import OneStep, Tensors
from model.predictor import OnProgress, Prediction
from model.settings import PaperSettings, WithSettings

WARM_UP = 512  # events read before a segment, to bring the memory up to date
FLOORS = (1e-4, 1e-3, 1e-2, 1e-1)
STATE = ("first hidden", "first cell", "second hidden", "second cell")
LAGS = 2  # previous marks that the slice histograms depend on


class Paper(WithSettings):
    """A setting that is not given comes from the `recipe` of the subclass; `max_events` bounds the training events.

    Each step takes 20 passes over them in double precision: training takes minutes for tens of thousands of events.
    """

    inputs = "slices"
    seeded = True  # the paper's code has one seed, which is 0 here
    settings_type = PaperSettings
    recipe = kernel_oracle.CORRECTED
    cells: kernel_oracle.Cells
    layout: kernel_oracle.Layout
    slices: SliceHistograms

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        chosen = PaperSettings(**settings)
        given = chosen.model_dump(exclude={"max_events"}, exclude_none=True)
        self.choices = kernel_oracle.Choices(**{**asdict(self.recipe), **given})
        self.max_events, self.seed, self.floor = chosen.max_events, seed, FLOORS[0]

    def settings(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**asdict(self.choices), "max_events": self.max_events, "seed": self.seed}

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Train and test as in the paper, both on the train part; return a row of the curve per step."""
        mark, slice_ns = column_of(train, "mark")[: self.max_events], column_of(train, "slice_ns")[: self.max_events]
        self.layout = kernel_oracle.Layout.measure(mark, slice_ns, self.choices)
        self.cells, curve = kernel_oracle.train(mark, slice_ns, self.choices, on_progress, self.seed)
        self.slices = SliceHistograms(marks, LAGS)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
            self.floor = self._best_floor(valid)
        return curve.history()

    def predict(self, segment: Segment) -> Prediction:
        """Predict in one pass over the segment, after up to WARM_UP events before it have filled the memory."""
        rows, _ = self._predict_rows(segment)
        return Prediction(np.log(self._probabilities(rows, self.floor)), self.slices.predict(segment))

    def session(self, segment: Segment) -> PaperSession:
        """Start a session before the first event of the segment."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        rows, memory = self._predict_rows(first)
        return PaperSession(self, rows[0], memory, past_marks([first], LAGS, self.slices.absent)[0].tolist())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights, columns and scales, the floor, and the histograms."""
        weights = {f"cells.{name}": weight.numpy() for name, weight in self.cells.state_dict().items()}
        scale = np.array([self.layout.offset_ns, self.layout.spread_ns, self.floor])
        shape = {"marks": np.array([self.slices.marks]), "columns": self.layout.names, "scale": scale}
        return {**shape, **weights, **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Load what `arrays` returned."""
        offset_ns, spread_ns, self.floor = (float(value) for value in arrays["scale"])
        self.layout = kernel_oracle.Layout(np.array(arrays["columns"]), offset_ns, spread_ns)
        self.slices = SliceHistograms(int(arrays["marks"][0]), LAGS)
        self.slices.restore(arrays)
        self.cells = kernel_oracle.Cells(1 + len(self.layout.names)).double()
        weights = {name[6:]: array for name, array in arrays.items() if name.startswith("cells.")}
        self.cells.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})

    @torch.no_grad()
    def one_step(self) -> OneStep:
        """Return the step from one row, a time and a column per task, to the next."""
        row = torch.zeros(1, 1, 1 + len(self.layout.names), dtype=torch.float64)
        _, memory = self.cells.run(row)
        return OneStep(self.cells, {"row": row, **_named(memory)}, self._step)

    def _step(self, given: Tensors) -> Tensors:
        parts = [given[name] for name in STATE]
        predicted, memory = self.cells.run(given["row"], ((parts[0], parts[1]), (parts[2], parts[3])))
        return {"next row": predicted, **{f"next {name}": part for name, part in _named(memory).items()}}

    @torch.no_grad()
    def _predict_rows(self, segment: Segment) -> tuple[np.ndarray, kernel_oracle.Memory]:
        """Return the predicted rows (n, columns) of the segment's events, and the memory in front of the last."""
        stream, start = segment.stream, max(0, segment.start - WARM_UP)
        past = slice(max(0, start - 1), segment.stop - 1)
        rows = self.layout.rows(stream.mark[past], np.maximum(stream.slice_ns[past], 1))
        if start == 0:  # an empty row stands in front of a stream's first event
            rows = np.concatenate([np.zeros((1, rows.shape[1])), rows])
        predicted, memory = self.cells.run(torch.from_numpy(rows)[None])
        return predicted[0, segment.start - start :].numpy(), memory

    def _probabilities(self, rows: np.ndarray, floor: float) -> np.ndarray:
        """Return the probabilities (n, marks) from predicted rows; a mark without a column gets the floor."""
        raised = np.full((len(rows), self.slices.marks), floor)
        raised[:, self.layout.names] = np.maximum(rows[:, 1:], floor)
        return raised / raised.sum(axis=1, keepdims=True)

    def _best_floor(self, valid: Sequence[Segment]) -> float:
        rows, mark = np.concatenate([self._predict_rows(segment)[0] for segment in valid]), column_of(valid, "mark")

        def bits(floor: float) -> float:
            return float(-np.log2(self._probabilities(rows, floor)[np.arange(len(mark)), mark]).mean())

        return min(FLOORS, key=bits)


def _named(memory: kernel_oracle.Memory) -> Tensors:
    parts = (part for cell in memory if cell is not None for part in cell)
    return dict(zip(STATE, parts, strict=True))


class PaperAsCoded(Paper):
    """With the choices of the published code."""

    recipe = kernel_oracle.AS_CODED


class PaperAsWritten(Paper):
    """With the choices of the text, where it differs from the code."""

    recipe = kernel_oracle.AS_WRITTEN


class PaperCorrected(Paper):
    """With events in order, a test on events that were not trained on, and the outlier."""

    recipe = kernel_oracle.CORRECTED


class PaperSession:
    """The network's memory of one stream, and the predicted row of its next event."""

    def __init__(self, paper: Paper, row: np.ndarray, memory: kernel_oracle.Memory, past: list[int]) -> None:
        self.paper, self.row, self.memory, self.past = paper, row, memory, past

    def marks(self) -> np.ndarray:
        """Return the probabilities (marks,) of the next mark."""
        return self.paper._probabilities(self.row[None], self.paper.floor)[0]

    def slice_of(self, mark: int) -> Histogram:
        """Return the density of the next slice if `mark` is picked."""
        return self.paper.slices.after_marks(mark, self.past)

    @torch.no_grad()
    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Advance the memory by one event."""
        row = self.paper.layout.rows(np.array([mark]), np.array([slice_us * 1e3]))
        predicted, self.memory = self.paper.cells.run(torch.from_numpy(row)[None], self.memory)
        self.row, self.past = predicted[0, 0].numpy(), [mark, *self.past[: LAGS - 1]]
