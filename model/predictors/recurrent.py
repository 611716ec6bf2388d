"""Recurrent networks over marks and slices: LSTM, GRU, minGRU, and a transformer with a bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from model.data.streams import Segment
from model.density import LogNormalMixture
from model.errors import StreamError
from model.nn import trainer
from model.nn.batches import Scale, concatenate, to_inputs
from model.nn.cells import Attention, LinearGates
from model.nn.network import Inputs, Network
from model.nn.training_state import StateFolder
from model.one_step import OneStep, Tensors
from model.predictor import OnProgress, Prediction
from model.settings import (
    GruSettings,
    LstmSettings,
    MinGruSettings,
    NetworkSettings,
    TransformerSettings,
    WithSettings,
)

MIN_EVENTS = 64  # in the train part, and in the validation part
FEWEST_STEPS = 8  # events of each row of a batch
WARM_UP = 512  # events read before a segment, to bring the memory up to date


class Recurrent(WithSettings):
    """Base of the recurrent networks. Its inputs, `regime`: `slices` (marks, slices, end states) or `marks` alone.

    `lanes` is the batch size, `steps` the length of truncated back-propagation. Same seed, same data, same CPU: same
    weights, bit for bit, unless `max_seconds` ended the training.
    """

    cell: type[torch.nn.Module]
    inputs = "slices"
    seeded = True
    settings_type: ClassVar[type[NetworkSettings]]
    layers = 1
    max_batch_size = 32
    state_folder: StateFolder | None = None
    state_names: tuple[str, ...] = ("memory",)

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        chosen = self.settings_type(**settings)
        if isinstance(chosen, GruSettings):
            self.regime = self.inputs = chosen.regime
            self.layers = chosen.layers
        self.hidden, self.learning_rate, self.seed = chosen.hidden, chosen.learning_rate, seed
        self.lanes, self.steps, self.slice_weight = chosen.lanes, chosen.steps, chosen.slice_weight
        self.max_epochs, self.max_seconds, self.patience = chosen.max_epochs, chosen.max_seconds, chosen.patience

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Train until validation stops improving; return one row per epoch. StreamError if either part is too short."""
        for name, part in (("train", train), ("validation", valid)):
            if sum(len(segment) for segment in part) < MIN_EVENTS:
                raise StreamError(f"the {name} part has fewer than {MIN_EVENTS} events: record longer or a busier load")
        torch.manual_seed(self.seed)
        self.marks, self.scale = marks, Scale.measure(train)
        self.network = self._build()
        training, validation = concatenate(train, self.scale, marks), concatenate(valid, self.scale, marks)
        events, batch_size = training.mark.shape[1], self._batch_size(training)
        bptt_steps = min(
            self.steps, max(FEWEST_STEPS, events // (4 * batch_size))
        )  # a short recording still gives several chunks
        hyperparameters = trainer.Hyperparameters(self.learning_rate, batch_size, bptt_steps, self.slice_weight)
        budget = trainer.Budget(self.max_epochs, self.max_seconds, self.patience)
        return trainer.fit(
            self.network, training, validation, hyperparameters, budget, self.seed, on_progress, self.state_folder
        )

    @torch.no_grad()
    def predict(self, segment: Segment) -> Prediction:
        """Predict in one pass over the segment, after up to WARM_UP events before it have filled the memory."""
        memory, inputs, _ = self._run(segment)
        log_probs = torch.log_softmax(self.network.mark_out(memory).double(), dim=-1)
        return Prediction(log_probs.numpy(), self._density(memory, inputs.mark[0]))

    @torch.no_grad()
    def session(self, segment: Segment) -> RecurrentSession:
        """Start a session before the first event of the segment."""
        memory, _, state = self._run(Segment(segment.stream, segment.start, segment.start + 1))
        return RecurrentSession(self, memory, state)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights, the number of marks, and the scale of log dt."""
        scale = np.array([self.scale.mean, self.scale.deviation])
        weights = {name: weight.numpy() for name, weight in self.network.state_dict().items()}
        return {"marks": np.array([self.marks]), "scale": scale, **weights}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Load what `arrays` returned."""
        weights = dict(arrays)
        self.marks = int(weights.pop("marks")[0])
        self.scale = Scale(*(float(value) for value in weights.pop("scale")))
        self.network = self._build()
        self.network.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})
        self.network.eval()

    @torch.no_grad()
    def one_step(self) -> OneStep:
        """Return the step from an event to the forecast of the next one."""
        mark, number = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1)
        events = {"previous mark": mark, "previous slice": number, "previous end state": mark, "next mark": mark}
        _, state = self.network.run(self._inputs(events))
        used = {name: tensor for name, tensor in events.items() if self._reads(name)}
        return OneStep(self.network, {**used, **self._named(state)}, self._step)

    def _reads(self, name: str) -> bool:
        return self.inputs == "slices" or name.endswith("mark")

    def _step(self, given: Tensors) -> Tensors:
        """Return the forecast of the next event, and the memory."""
        memory, state = self.network.run(self._inputs(given), self._state(given))
        names = ("slice log weights", "slice means", "slice log deviations")
        mixture = dict(zip(names, self.network.mixture(memory, given["next mark"]), strict=True))
        return {"next mark logits": self.network.mark_out(memory), **mixture, **self._named(state, "next ")}

    def _inputs(self, given: Tensors) -> Inputs:
        """Return the inputs of one event; what a network does not read may be missing."""
        mark = given.get("previous mark", given["next mark"])
        slices, states = given.get("previous slice", mark), given.get("previous end state", mark)
        return Inputs(mark, slices, states, given["next mark"], slices)

    def _state(self, given: Tensors) -> object:
        parts = tuple(given[name] for name in self.state_names)
        return parts if len(parts) > 1 else parts[0]

    def _named(self, state: object, before: str = "") -> Tensors:
        parts = state if isinstance(state, tuple) else (state,)
        return {before + name: part for name, part in zip(self.state_names, parts, strict=True)}

    def _build(self) -> Network:
        return Network(self.marks, self.cell, self.hidden, self.layers, self.inputs == "slices")

    def _batch_size(self, training: Inputs) -> int:
        """Return a batch size large enough for speed, and small enough that an epoch has some dozens of steps."""
        events = training.mark.shape[1]
        if self.lanes:
            return min(self.lanes, events // FEWEST_STEPS)  # more would leave no events to train on
        return int(np.clip(events // (self.steps * 24), 2, self.max_batch_size))

    def _run(self, segment: Segment) -> tuple[torch.Tensor, Inputs, object]:
        """Return the memory (n, hidden) at each event of the segment, its inputs, and the state after it."""
        start = max(0, segment.start - WARM_UP)
        self.network.eval()
        memory, state = self.network.run(
            to_inputs(Segment(segment.stream, start, segment.stop), self.scale, self.marks)
        )
        return memory[0, segment.start - start :], to_inputs(segment, self.scale, self.marks), state

    def _density(self, memory: torch.Tensor, mark: torch.Tensor) -> LogNormalMixture:
        log_weight, mean, log_deviation = (part.double() for part in self.network.mixture(memory, mark))
        return LogNormalMixture(
            log_weight.exp().numpy(),
            (mean * self.scale.deviation + self.scale.mean).numpy(),
            (log_deviation.exp() * self.scale.deviation).numpy(),
        )


class Gru(Recurrent):
    """Gated recurrent unit (Cho et al., EMNLP 2014)."""

    cell = torch.nn.GRU
    settings_type = GruSettings


class Lstm(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9(8), 1997)."""

    cell = torch.nn.LSTM
    settings_type = LstmSettings
    state_names = ("memory", "cell")
    max_batch_size = 64


class MinGru(Recurrent):
    """A linear recurrence whose gates depend on the input alone; two layers do better than one."""

    cell = LinearGates
    settings_type = MinGruSettings


class Transformer(Recurrent):
    """Causal attention over the last events of a stream; `hidden` is a multiple of the 4 heads."""

    cell = Attention
    settings_type = TransformerSettings


class RecurrentSession:
    """A network's memory of one stream."""

    def __init__(self, recurrent: Recurrent, memory: torch.Tensor, state: object) -> None:
        self.recurrent, self.memory, self.state = recurrent, memory, state

    @torch.no_grad()
    def marks(self) -> np.ndarray:
        """Return the probabilities (marks,) of the next mark."""
        return torch.softmax(self.recurrent.network.mark_out(self.memory[0]).double(), dim=-1).numpy()

    @torch.no_grad()
    def slice_of(self, mark: int) -> LogNormalMixture:
        """Return the density of the next slice if `mark` is picked."""
        return self.recurrent._density(self.memory, torch.tensor([mark]))

    @torch.no_grad()
    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Advance the memory by one event."""
        scale = self.recurrent.scale
        log_dt = torch.tensor([[(np.log(max(slice_us, 1e-3)) - scale.mean) / scale.deviation]], dtype=torch.float32)
        target = torch.zeros(1, 1, dtype=torch.int64)  # not read here
        inputs = Inputs(torch.tensor([[mark]]), log_dt, torch.tensor([[end_state]]), target, log_dt)
        memory, self.state = self.recurrent.network.run(inputs, self.state)
        self.memory = memory[0]
