"""What LSTM and GRU share: settings, fitting, predicting with carried state, and walking step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch

from model.data.streams import Segment
from model.density import LogNormalMixture
from model.errors import SettingError, StreamError
from model.nn import trainer as training
from model.nn.batches import Scale, inputs_of, joined
from model.nn.network import Inputs, Network
from model.nn.training_state import Journal
from model.predictor import OnProgress, Prediction
from model.settings import Range, WithSettings

LEAST = 64  # events in the train and in the validation part
WARM_UP = 512  # events read before a segment, to bring the memory up to date


class Recurrent(WithSettings):
    """A network with a memory. Its inputs, `regime`: `slices` (marks, slices and end states) or `marks` (marks alone).

    What is left out is what suits the cell and the data. Same seed, same data, same CPU: same weights, bit for bit,
    unless `max_seconds` ended the training.
    """

    cell: type[torch.nn.Module]
    inputs = "slices"
    seeded = True
    hidden_by_default = 48
    layers_by_default = 1
    rate_by_default = 2e-2
    most_lanes = 32
    heads = 1  # equal parts that `hidden` is cut into
    journal: Journal | None = None

    def __init__(
        self,
        regime: str = "slices",
        hidden: Annotated[int | None, Range(1)] = None,
        layers: Annotated[int | None, Range(1)] = None,
        learning_rate: Annotated[float | None, Range(0, above=True)] = None,
        lanes: Annotated[int | None, Range(1)] = None,
        steps: Annotated[int, Range(1)] = 64,
        slice_weight: Annotated[float, Range(0)] = 0.3,
        max_epochs: Annotated[int, Range(1)] = 120,
        max_seconds: Annotated[float | None, Range(0)] = None,
        patience: Annotated[int, Range(1)] = 6,
        seed: Annotated[int, Range(0)] = 0,
    ) -> None:
        if regime not in ("marks", "slices"):
            raise SettingError(f"regime {regime!r}: a recurrent network takes 'marks' or 'slices'")
        self.regime = self.inputs = regime
        self.hidden = hidden or self.hidden_by_default
        if self.hidden % self.heads:
            raise SettingError(f"hidden {hidden}: expected a multiple of the {self.heads} heads")
        self.layers = layers or self.layers_by_default
        self.learning_rate = learning_rate or self.rate_by_default
        self.lanes, self.steps, self.slice_weight = lanes, steps, slice_weight
        self.max_epochs, self.max_seconds, self.patience, self.seed = max_epochs, max_seconds, patience, seed

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Train until validation stops improving. StreamError where either part is too short to tell."""
        for name, part in (("train", train), ("validation", valid)):
            if sum(len(segment) for segment in part) < LEAST:
                raise StreamError(f"the {name} part has fewer than {LEAST} events: record longer or a busier load")
        torch.manual_seed(self.seed)
        self.marks, self.scale = marks, Scale.of(train)
        self.network = self._build()
        laid = joined(train, self.scale, marks)
        lanes = self._lanes(laid)
        steps = min(self.steps, max(8, laid.mark.shape[1] // (4 * lanes)))  # of a short recording, several chunks still
        recipe = training.Recipe(self.learning_rate, lanes, steps, self.slice_weight)
        budget = training.Budget(self.max_epochs, self.max_seconds, self.patience)
        held_out = joined(valid, self.scale, marks)
        return training.fit(self.network, laid, held_out, recipe, budget, self.seed, on_progress, self.journal)

    @torch.no_grad()
    def predict(self, segment: Segment) -> Prediction:
        """One pass over the segment, the memory warmed up on up to WARM_UP events before it."""
        memory, inputs, _ = self._remember(segment)
        log_probs = torch.log_softmax(self.network.mark_out(memory).double(), dim=-1)
        return Prediction(log_probs.numpy(), self._density(memory, inputs.mark[0]))

    @torch.no_grad()
    def session(self, segment: Segment) -> RecurrentSession:
        """Walk on from before the segment's first event."""
        memory, _, state = self._remember(Segment(segment.stream, segment.start, segment.start + 1))
        return RecurrentSession(self, memory, state)

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights, and the scale of log dt."""
        scale = np.array([self.scale.mean, self.scale.deviation])
        weights = {name: weight.numpy() for name, weight in self.network.state_dict().items()}
        return {"marks": np.array([self.marks]), "scale": scale, **weights}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        weights = dict(arrays)
        self.marks = int(weights.pop("marks")[0])
        self.scale = Scale(*(float(value) for value in weights.pop("scale")))
        self.network = self._build()
        self.network.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})
        self.network.eval()

    def _build(self) -> Network:
        return Network(self.marks, self.cell, self.hidden, self.layers, self.inputs == "slices")

    def _lanes(self, whole: Inputs) -> int:
        """Enough lanes for speed, few enough that an epoch is still some dozens of steps."""
        return self.lanes or int(np.clip(whole.mark.shape[1] // (self.steps * 24), 2, self.most_lanes))

    def _remember(self, segment: Segment) -> tuple[torch.Tensor, Inputs, object]:
        """(n, hidden) memory for each event of the segment, its inputs, and the state after the last of them."""
        start = max(0, segment.start - WARM_UP)
        self.network.eval()
        memory, state = self.network.run(
            inputs_of(Segment(segment.stream, start, segment.stop), self.scale, self.marks)
        )
        return memory[0, segment.start - start :], inputs_of(segment, self.scale, self.marks), state

    def _density(self, memory: torch.Tensor, mark: torch.Tensor) -> LogNormalMixture:
        log_weight, mean, log_deviation = (part.double() for part in self.network.mixture(memory, mark))
        spread = self.scale.deviation
        return LogNormalMixture(
            log_weight.exp().numpy(),
            (mean * spread + self.scale.mean).numpy(),
            (log_deviation.exp() * spread).numpy(),
        )


class RecurrentSession:
    """The memory of one stream."""

    def __init__(self, recurrent: Recurrent, memory: torch.Tensor, state: object) -> None:
        self.recurrent, self.memory, self.state = recurrent, memory, state

    @torch.no_grad()
    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        return torch.softmax(self.recurrent.network.mark_out(self.memory[0]).double(), dim=-1).numpy()

    @torch.no_grad()
    def slice_of(self, mark: int) -> LogNormalMixture:
        """The density of the next slice, should `mark` be picked."""
        return self.recurrent._density(self.memory, torch.tensor([mark]))

    @torch.no_grad()
    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Take one step with what happened."""
        scale = self.recurrent.scale
        log_dt = torch.tensor([[(np.log(max(slice_us, 1e-3)) - scale.mean) / scale.deviation]], dtype=torch.float32)
        seen, nothing = torch.tensor([[mark]]), torch.zeros(1, 1, dtype=torch.int64)
        inputs = Inputs(seen, log_dt, torch.tensor([[end_state]]), nothing, log_dt)
        memory, self.state = self.recurrent.network.run(inputs, self.state)
        self.memory = memory[0]
