"""Marked temporal point processes: trained as `Recurrent` is, but a mark is read before its slice is timed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from model.data.streams import Segment
from model.density import Density, WithLogNormalFloor
from model.nn.batches import to_inputs
from model.nn.network import Inputs
from model.nn.point_processes import ContinuousLstm, ExponentialIntensity
from model.one_step import Tensors
from model.predictor import OnProgress, Prediction
from model.predictors.recurrent import WARM_UP, Recurrent
from model.settings import PointProcessSettings


class PointProcess(Recurrent):
    """Base of the point processes. `slice_weight` 1 trains for the likelihood of times and marks, as published.

    A setting that is left out gets a value that suits the data; the same seed gives the same weights.
    """

    network_type: type[ExponentialIntensity] | type[ContinuousLstm]
    network: ExponentialIntensity | ContinuousLstm  # type: ignore[assignment]
    longest_us = 1.0  # longest training slice; a restored network holds it itself
    settings_type = PointProcessSettings

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Train as `Recurrent` does. StreamError if the train or the validation part is too short."""
        longest = (float(part.slice_us().max()) for segment in train for part in segment.parts())
        self.longest_us = max(longest, default=1.0)
        return super().fit(train, valid, marks, on_progress)

    @torch.no_grad()
    def predict(self, segment: Segment) -> Prediction:
        """Predict in one pass over the segment, after up to WARM_UP events before it have filled the memory."""
        memory, _, _ = self._run(segment)
        return Prediction(self.network.log_probs(memory).double().numpy(), self.density(memory))

    @torch.no_grad()
    def session(self, segment: Segment) -> PointProcessSession:  # type: ignore[override]
        """Start a session before the first event of the segment."""
        begin, state = max(0, segment.start - WARM_UP), None
        if segment.start > begin:
            past = Segment(segment.stream, begin, segment.start)
            _, state = self.network.run(to_inputs(past, self.scale, self.marks))
        first = Segment(segment.stream, segment.start, segment.start + 1)
        return PointProcessSession(self, to_inputs(first, self.scale, self.marks).previous_log, state)

    @torch.no_grad()
    def density(self, memory: torch.Tensor) -> Density:
        """Return the densities of the slices whose marks were read last."""
        return WithLogNormalFloor(self.network.density(memory, self._unit_us()), self.scale.mean, self.scale.deviation)

    def _reads(self, name: str) -> bool:
        return name in ("previous slice", "next mark")

    def _step(self, given: Tensors) -> Tensors:
        """Return the forecast of the mark and of the slice that follows it, and the memory."""
        memory, state = self.network.run(self._inputs(given), self._state(given))
        return {
            "next mark log probabilities": self.network.log_probs(memory),
            **self._slice(memory),
            **self._named(state, "next "),
        }

    def _slice(self, memory: torch.Tensor) -> Tensors:
        """Return what the density of the slice is made from."""
        raise NotImplementedError

    def _build(self) -> ExponentialIntensity | ContinuousLstm:  # type: ignore[override]
        return self.network_type(self.marks, self.hidden, self.scale.deviation, self.longest_us / self._unit_us())

    def _unit_us(self) -> float:
        return float(np.exp(self.scale.mean))


class Rmtpp(PointProcess):
    """Recurrent marked temporal point process; its density of a slice is Gompertz's, exact in closed form."""

    network_type = ExponentialIntensity
    network: ExponentialIntensity

    def _slice(self, memory: torch.Tensor) -> Tensors:
        return {"log rate of the slice's end": self.network.log_rate(memory)}


class Nhp(PointProcess):
    """Neural Hawkes process; its density takes the intensity at 161 times, and linear between them."""

    network_type = ContinuousLstm
    network: ContinuousLstm
    state_names = ("cell", "target", "decay", "output gate")

    def _slice(self, memory: torch.Tensor) -> Tensors:
        return {"rate of the slice's end": self.network.total(memory, torch.ones(1, 1, 1))}


class PointProcessSession:
    """A network's memory of one stream: it has read the last event's mark, but not yet its slice."""

    def __init__(self, process: PointProcess, previous_log: torch.Tensor, state: object) -> None:
        self.process, self.previous_log, self.state = process, previous_log, state

    def marks(self) -> np.ndarray:
        """Return the probabilities (marks,) of the next mark."""
        memory, _ = self._step(0)  # the part that is used here does not depend on the mark
        with torch.no_grad():
            return torch.exp(self.process.network.log_probs(memory).double()).numpy()[0]

    def slice_of(self, mark: int) -> Density:
        """Return the density of the next slice if `mark` is picked."""
        return self.process.density(self._step(mark)[0])

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Advance the memory by one event; a point process does not use the end state."""
        _, self.state = self._step(mark)
        scale = self.process.scale
        log_dt = (np.log(max(slice_us, 1e-3)) - scale.mean) / scale.deviation
        self.previous_log = torch.tensor([[log_dt]], dtype=torch.float32)

    @torch.no_grad()
    def _step(self, mark: int) -> tuple[torch.Tensor, object]:
        """Return the memory (1, width) around the next event if its mark is `mark`, and the state after it."""
        target, unused = torch.tensor([[mark]]), torch.zeros(1, 1, dtype=torch.int64)
        inputs = Inputs(unused, self.previous_log, unused, target, self.previous_log)
        memory, state = self.process.network.run(inputs, self.state)
        return memory[0], state
