"""What point processes share: they are trained in streams as `Recurrent` is, and read a mark before they time it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch

from model.data.streams import Segment
from model.density import Density, Hedged
from model.nn.batches import inputs_of
from model.nn.network import Inputs
from model.nn.point_processes import ContinuousLstm, ExponentialIntensity
from model.predictor import OnProgress, Prediction
from model.predictors.recurrent import WARM_UP, Recurrent
from model.settings import Range


class PointProcess(Recurrent):
    """A subclass names the network. `slice_weight` 1 trains for the likelihood of times and marks, as published.

    What is left out is what suits the data; the same seed gives the same weights, as for `Recurrent`.
    """

    kind: type[ExponentialIntensity] | type[ContinuousLstm]
    network: ExponentialIntensity | ContinuousLstm  # type: ignore[assignment]
    longest_us = 1.0  # slice learned from; a network that is restored knows it itself

    def __init__(
        self,
        hidden: Annotated[int, Range(1)] = 32,
        learning_rate: Annotated[float | None, Range(0, above=True)] = None,
        lanes: Annotated[int | None, Range(1)] = None,
        steps: Annotated[int, Range(1)] = 64,
        slice_weight: Annotated[float, Range(0)] = 1.0,
        max_epochs: Annotated[int, Range(1)] = 60,
        max_seconds: Annotated[float | None, Range(0)] = None,
        patience: Annotated[int, Range(1)] = 4,
        seed: Annotated[int, Range(0)] = 0,
    ) -> None:
        super().__init__(
            "slices", hidden, 1, learning_rate, lanes, steps, slice_weight, max_epochs, max_seconds, patience, seed
        )

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """As `Recurrent` does. StreamError where either part is too short to tell."""
        longest = (float(part.slice_us().max()) for segment in train for part in segment.parts())
        self.longest_us = max(longest, default=1.0)
        return super().fit(train, valid, marks, on_progress)

    @torch.no_grad()
    def predict(self, segment: Segment) -> Prediction:
        """One pass over the segment, the memory warmed up on up to WARM_UP events before it."""
        memory, _, _ = self._remember(segment)
        return Prediction(self.network.log_probs(memory).double().numpy(), self.density(memory))

    @torch.no_grad()
    def session(self, segment: Segment) -> PointProcessSession:  # type: ignore[override]
        """Walk on from before the segment's first event."""
        begin, state = max(0, segment.start - WARM_UP), None
        if segment.start > begin:
            past = Segment(segment.stream, begin, segment.start)
            _, state = self.network.run(inputs_of(past, self.scale, self.marks))
        first = Segment(segment.stream, segment.start, segment.start + 1)
        return PointProcessSession(self, inputs_of(first, self.scale, self.marks).previous_log, state)

    @torch.no_grad()
    def density(self, memory: torch.Tensor) -> Density:
        """How long the slices last whose marks were read last."""
        return Hedged(self.network.density(memory, self._unit_us()), self.scale.mean, self.scale.deviation)

    def _build(self) -> ExponentialIntensity | ContinuousLstm:  # type: ignore[override]
        return self.kind(self.marks, self.hidden, self.scale.deviation, self.longest_us / self._unit_us())

    def _unit_us(self) -> float:
        return float(np.exp(self.scale.mean))


class PointProcessSession:
    """The memory of one stream, the last event's mark read, its slice not yet."""

    def __init__(self, process: PointProcess, previous_log: torch.Tensor, state: object) -> None:
        self.process, self.previous_log, self.state = process, previous_log, state

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        memory, _ = self._step(0)  # what is remembered of before is the same whichever mark comes
        with torch.no_grad():
            return torch.exp(self.process.network.log_probs(memory).double()).numpy()[0]

    def slice_of(self, mark: int) -> Density:
        """The density of the next slice, should `mark` be picked."""
        return self.process.density(self._step(mark)[0])

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Take one step with what happened; the end state is no part of a point process."""
        _, self.state = self._step(mark)
        scale = self.process.scale
        log_dt = (np.log(max(slice_us, 1e-3)) - scale.mean) / scale.deviation
        self.previous_log = torch.tensor([[log_dt]], dtype=torch.float32)

    @torch.no_grad()
    def _step(self, mark: int) -> tuple[torch.Tensor, object]:
        """(1, width) memory around the next event, should it be of `mark`, and the state after it."""
        seen, nothing = torch.tensor([[mark]]), torch.zeros(1, 1, dtype=torch.int64)
        inputs = Inputs(nothing, self.previous_log, nothing, seen, self.previous_log)
        memory, state = self.process.network.run(inputs, self.state)
        return memory[0], state
