"""Training of a network: truncated back-propagation, Adam, averaged weights, early stopping on the validation part."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch

from model.errors import CheckpointError, StreamError
from model.nn.batches import chunk, fold_into_batch
from model.nn.network import Inputs, Network, detach, flatten
from model.nn.training_state import StateFolder, TrainingState
from model.predictor import OnProgress

VALIDATION_STEPS = 8192  # at once; bounds the memory that validation takes
MAX_GRADIENT_NORM = 1.0
AVERAGE_DECAY = 0.99  # share of the average that stays after an update
FINAL_RATE = 0.05  # share of the learning rate that is left at `max_epochs`
MIN_GAIN = 1e-3  # relative; a smaller gain on validation counts as none


@dataclass(frozen=True)
class Budget:
    """Training ends after `max_epochs` or `max_seconds`, or where the rate would be cut once more after `cuts` cuts.

    The learning rate is cut to a third after `patience` epochs without a gain. There is no `max_seconds` by default:
    the result would depend on the speed of the machine.
    """

    max_epochs: int = 120
    max_seconds: float | None = None
    patience: int = 6
    cuts: int = 3


@dataclass(frozen=True)
class Hyperparameters:
    """A step of Adam sees batch_size x bptt_steps events. The loss is that of marks + slice_weight x that of dt."""

    learning_rate: float = 1e-2
    batch_size: int = 16
    bptt_steps: int = 64
    slice_weight: float = 0.3


@dataclass
class TrainingProgress:
    """The numbers that a training changes; `training_state` stores them under these names."""

    best: float = math.inf  # loss on validation
    stale: int = 0  # epochs since the last gain
    updates: int = 0  # steps of the optimiser
    cuts: int = 0  # of the learning rate
    rate: float = 0.0  # learning rate after the cuts, before its linear decrease
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def finished(self, budget: Budget) -> bool:
        """Return whether the last epoch is done."""
        late = budget.max_seconds is not None and bool(self.history) and self.seconds > budget.max_seconds
        return len(self.history) >= budget.max_epochs or self.cuts > budget.cuts or late


class Trainer:
    """A network, its optimiser, the generator of batch offsets, and the best weights so far.

    Validation measures a moving average of the weights, and the best average is kept (Polyak and Juditsky, SIAM J.
    Control Optim. 30(4), 1992): the noise of single steps cancels in it.
    """

    def __init__(self, network: Network, hyperparameters: Hyperparameters, budget: Budget, seed: int) -> None:
        self.network, self.hyperparameters, self.budget = network, hyperparameters, budget
        self.average = copy.deepcopy(network)
        self.vector = flatten(network)
        self.weights, self.averaged = self.vector.data, flatten(self.average).data
        self.optimiser = torch.optim.Adam([self.vector], fused=True)
        self.offsets = torch.Generator().manual_seed(seed)
        self.progress = TrainingProgress(rate=hyperparameters.learning_rate)
        self.best: torch.Tensor | None = None  # the averaged weights with the least loss on validation

    def run_epoch(self, train: Inputs, valid: Inputs) -> None:
        """Train once on `train`, measure on `valid`, and adjust the learning rate. StreamError if training diverged."""
        began, progress = time.monotonic(), self.progress
        for _ in self.steps(train):
            pass
        mark_nats, slice_nats = measure(self.average, valid, self.hyperparameters)
        loss = mark_nats + self.hyperparameters.slice_weight * slice_nats
        if not math.isfinite(loss):
            raise StreamError(f"training diverged (loss {loss}): set a learning_rate below {progress.rate:g}")
        progress.seconds += time.monotonic() - began
        row = {"epoch": len(progress.history) + 1, "valid_bits": mark_nats / math.log(2)}
        row |= {"valid_slice_nats": slice_nats, "learning_rate": self.learning_rate(), "seconds": progress.seconds}
        progress.history.append(row)
        self._judge(loss)

    def learning_rate(self) -> float:
        """Return the learning rate of this epoch: it decreases linearly, to FINAL_RATE at `max_epochs`."""
        return self.progress.rate * (1 - (1 - FINAL_RATE) * len(self.progress.history) / self.budget.max_epochs)

    def steps(self, train: Inputs) -> Iterator[int]:
        """Train once on `train`; yield the number of events of each step of the optimiser."""
        offset = int(torch.randint(self.hyperparameters.bptt_steps, (1,), generator=self.offsets))
        self.optimiser.param_groups[0]["lr"] = self.learning_rate()
        for (mark_nats, slice_nats), events in _losses(self.network, train, self.hyperparameters, offset):
            self.optimiser.zero_grad(set_to_none=False)  # the weights' gradients are views
            (mark_nats + self.hyperparameters.slice_weight * slice_nats).backward()
            self._update()
            yield events

    def _update(self) -> None:
        """Take a step of Adam and update the average, faster at first, so that it forgets the initial weights.

        `swa_utils.AveragedModel` in place of the one `lerp_` costs 1 to 8 % more CPU.
        """
        torch.nn.utils.clip_grad_norm_(self.vector, MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.progress.updates += 1
        updates = self.progress.updates
        self.averaged.lerp_(self.weights, 1 - min(AVERAGE_DECAY, (1 + updates) / (10 + updates)))

    def _judge(self, loss: float) -> None:
        """Keep the best weights; after `patience` epochs without a gain go back to them and cut the learning rate."""
        progress = self.progress
        gained = self.best is None or loss < progress.best - MIN_GAIN * abs(progress.best)
        progress.stale = 0 if gained else progress.stale + 1
        if self.best is None or loss < progress.best:
            progress.best, self.best = loss, self.averaged.clone()
        if progress.stale >= self.budget.patience:
            self.weights.copy_(self.best)
            self.averaged.copy_(self.best)
            progress.cuts, progress.stale, progress.rate = progress.cuts + 1, 0, progress.rate / 3

    def state(self) -> TrainingState:
        """Return all that the next epoch depends on."""
        random = {"random.offsets": self.offsets.get_state(), "random.torch": torch.get_rng_state()}
        return TrainingState(len(self.progress.history), asdict(self.progress), {**self._vectors(), **random})

    def restore(self, state: TrainingState) -> None:
        """Load what `state` returned. CheckpointError if it is of another network; the trainer is then half changed."""
        try:
            self.progress = TrainingProgress(**state.numbers)
            self.progress.rate = float(self.progress.rate)
            self.best, mean, square = (torch.zeros_like(self.weights) for _ in range(3))
            step = torch.tensor(float(self.progress.updates))
            self.optimiser.state[self.vector] = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
            for name, vector in self._vectors().items():
                if state.tensors[name].shape != vector.shape:
                    raise ValueError(f"{name} has the shape {tuple(state.tensors[name].shape)}")
                vector.copy_(state.tensors[name])
            self.offsets.set_state(state.tensors["random.offsets"])
            torch.set_rng_state(state.tensors["random.torch"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the stored state does not fit the network ({error})") from error

    def _vectors(self) -> dict[str, torch.Tensor]:
        """Return the vectors that a training changes, each with a number per weight."""
        vectors = {"weights.all": self.weights, "average.all": self.averaged, "best.all": self.best}
        moments = self.optimiser.state[self.vector]  # empty before the first step
        vectors |= {"adam.mean": moments.get("exp_avg"), "adam.square": moments.get("exp_avg_sq")}
        return {name: vector for name, vector in vectors.items() if vector is not None}


def fit(
    network: Network,
    train: Inputs,
    valid: Inputs,
    hyperparameters: Hyperparameters,
    budget: Budget,
    seed: int,
    on_progress: OnProgress,
    state_folder: StateFolder | None = None,
) -> list[dict[str, float]]:
    """Leave the network with the weights that did best on `valid`; return one row per epoch.

    With a state folder, each epoch is stored there, and a stored one is resumed: the end is the same, bit for bit.
    """
    trainer = Trainer(network, hyperparameters, budget, seed)
    if state_folder:
        trainer = _resume(trainer, state_folder, seed, on_progress)
    while not trainer.progress.finished(budget):
        trainer.run_epoch(train, valid)
        if state_folder:
            state_folder.write(trainer.state())
        last = trainer.progress.history[-1]
        on_progress(f"epoch {last['epoch']}: {last['valid_bits']:.3f} bits", last["epoch"], budget.max_epochs)
    if trainer.best is not None:
        trainer.weights.copy_(trainer.best)
    # Aligned like the weights of a stored network: some processors' matrix products depend on it in the last bit.
    for weight in network.parameters():
        weight.data, weight.grad = weight.detach().clone(), None
    return trainer.progress.history


def _resume(trainer: Trainer, state_folder: StateFolder, seed: int, on_progress: OnProgress) -> Trainer:
    """Return the trainer with the stored state, or a new one if there is no state or it is of another network."""
    state = state_folder.read()
    if not state:
        return trainer
    weights, random = copy.deepcopy(trainer.network.state_dict()), torch.get_rng_state()
    try:
        trainer.restore(state)
    except CheckpointError as error:
        state_folder.put_aside(str(error))
        trainer.network.load_state_dict(weights)
        torch.set_rng_state(random)
        return Trainer(trainer.network, trainer.hyperparameters, trainer.budget, seed)
    on_progress(f"resuming after epoch {state.epoch}", state.epoch, trainer.budget.max_epochs)
    return trainer


def _losses(
    network: Network, train: Inputs, hyperparameters: Hyperparameters, offset: int
) -> Iterator[tuple[tuple[torch.Tensor, torch.Tensor], int]]:
    """Yield, chunk by chunk, the mean nats of marks and of log dt, and the number of events."""
    network.train()
    batch = fold_into_batch(train, hyperparameters.batch_size, offset)
    state: object = None
    for begin in range(0, batch.mark.shape[1], hyperparameters.bptt_steps):
        part = chunk(batch, begin, hyperparameters.bptt_steps)
        memory, state = network.run(part, state)
        state = detach(state)
        yield network.losses(memory, part), part.mark.numel()


@torch.no_grad()
def measure(network: Network, inputs: Inputs, hyperparameters: Hyperparameters) -> tuple[float, float]:
    """Return the mean nats of marks and of standardised log dt; the state is carried along each row of the batch."""
    network.eval()
    batch = fold_into_batch(inputs, min(4, hyperparameters.batch_size), 0)
    total, state, steps = torch.zeros(2, dtype=torch.float64), None, batch.mark.shape[1]
    for begin in range(0, steps, VALIDATION_STEPS):
        part = chunk(batch, begin, VALIDATION_STEPS)
        memory, state = network.run(part, state)
        total += torch.stack(network.losses(memory, part)).double() * part.mark.shape[1]
    mark_nats, slice_nats = (total / steps).tolist()
    return mark_nats, slice_nats
