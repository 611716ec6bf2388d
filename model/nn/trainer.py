"""Fits a network: truncated back-propagation over contiguous lanes, Adam, an average of the weights, validation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch

from model.errors import CheckpointError, StreamError
from model.nn.adam import Adam, clip, flatten, gradient
from model.nn.batches import chunk, lay
from model.nn.network import Inputs, Network, detach
from model.nn.training_state import Entry, Journal
from model.predictor import OnProgress

MEASURED = 8192  # steps of validation at once, which bounds the memory it takes
CLIP = 1.0  # norm of the gradient
AVERAGED = 0.99  # share of the average that a step leaves as it was
LAST = 0.05  # share of the learning rate that is left at the end
SMALLEST_GAIN = 1e-3  # relative; less than this on validation counts as no gain


@dataclass(frozen=True)
class Budget:
    """When training ends: at `max_epochs`, at `max_seconds` (none by default, for it makes the end depend on the
    machine), or once the learning rate was cut `cuts` times and `patience` more epochs brought nothing."""

    max_epochs: int = 120
    max_seconds: float | None = None
    patience: int = 6
    cuts: int = 3


@dataclass(frozen=True)
class Recipe:
    """lanes x steps events a step of Adam; `slice_weight` is the share of the dt loss against that of the marks."""

    learning_rate: float = 1e-2
    lanes: int = 16
    steps: int = 64
    slice_weight: float = 0.3


@dataclass
class Standing:
    """How far a training is, as numbers. `rate` is the learning rate that the line begins at."""

    best: float = math.inf  # score on validation
    stale: int = 0  # epochs without a gain
    updates: int = 0  # steps of the optimiser
    cuts: int = 0  # of the learning rate
    rate: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def over(self, budget: Budget) -> bool:
        """Whether there is no next epoch."""
        spent = budget.max_seconds is not None and bool(self.history) and self.seconds > budget.max_seconds
        return len(self.history) >= budget.max_epochs or self.cuts > budget.cuts or spent


class Training:
    """A network, its optimiser, the generator that draws where lanes begin, and the best weights so far.

    What is looked at on validation, and kept, is a moving average of the weights (Polyak and Juditsky, SIAM J. Control
    Optim. 30(4), 1992): the noise of single steps cancels in it.
    """

    def __init__(self, network: Network, recipe: Recipe, budget: Budget, seed: int) -> None:
        self.network, self.recipe, self.budget = network, recipe, budget
        self.average = copy.deepcopy(network)
        self.weights, self.averaged = flatten(network), flatten(self.average)
        self.adam = Adam(self.weights)
        self.parameters = list(network.parameters())  # what it takes to find them is a twentieth of a step
        self.offsets = torch.Generator().manual_seed(seed)
        self.standing = Standing(rate=recipe.learning_rate)
        self.kept: torch.Tensor | None = None  # the best average

    def epoch(self, train: Inputs, valid: Inputs) -> None:
        """Once through `train`, a look at `valid`, and what follows from it for the learning rate.

        Raises StreamError where the loss is no number any more.
        """
        began, standing, recipe = time.monotonic(), self.standing, self.recipe
        for _ in self.steps(train):
            pass
        mark_nats, slice_nats = measure(self.average, valid, recipe)
        score = mark_nats + recipe.slice_weight * slice_nats
        if not math.isfinite(score):
            raise StreamError(f"training went astray (loss {score}): set a learning_rate below {standing.rate:g}")
        standing.seconds += time.monotonic() - began
        row = {"epoch": len(standing.history) + 1, "valid_bits": mark_nats / math.log(2)}
        row |= {"valid_slice_nats": slice_nats, "learning_rate": self.rate(), "seconds": standing.seconds}
        standing.history.append(row)
        self._judge(score)

    def rate(self) -> float:
        """The learning rate of the epoch at hand: it falls in a straight line, to LAST at `max_epochs`."""
        return self.standing.rate * (1 - (1 - LAST) * len(self.standing.history) / self.budget.max_epochs)

    def steps(self, train: Inputs) -> Iterator[int]:
        """Once through `train`; yields after each step of the optimiser how many events it was of."""
        offset, rate = int(torch.randint(self.recipe.steps, (1,), generator=self.offsets)), self.rate()
        for losses, events in _losses(self.network, train, self.recipe, offset):
            self._take(clip(gradient(losses, (1.0, self.recipe.slice_weight), self.parameters), CLIP), rate)
            yield events

    @torch.no_grad()
    def _take(self, gradient: torch.Tensor, rate: float) -> None:
        """A step of Adam, and the average a little towards the weights; further at first, so that it forgets where
        they began."""
        standing = self.standing
        standing.updates += 1
        self.adam.step(gradient, rate, standing.updates)
        self.averaged.lerp_(self.weights, 1 - min(AVERAGED, (1 + standing.updates) / (10 + standing.updates)))

    def _judge(self, score: float) -> None:
        standing = self.standing
        gained = self.kept is None or score < standing.best - SMALLEST_GAIN * abs(standing.best)
        standing.stale = 0 if gained else standing.stale + 1
        if self.kept is None or score < standing.best:
            standing.best, self.kept = score, self.averaged.clone()
        if standing.stale >= self.budget.patience:
            self.weights.copy_(self.kept)
            self.averaged.copy_(self.kept)
            standing.cuts, standing.stale, standing.rate = standing.cuts + 1, 0, standing.rate / 3

    def entry(self) -> Entry:
        """All that the next epoch depends on."""
        random = {"random.offsets": self.offsets.get_state(), "random.torch": torch.get_rng_state()}
        return Entry(len(self.standing.history), asdict(self.standing), {**self._vectors(), **random})

    def go_on(self, entry: Entry) -> None:
        """Take back what `entry` gave. CheckpointError where it is not of such a network (then half changed)."""
        try:
            self.standing = Standing(**entry.numbers)
            self.standing.rate = float(self.standing.rate)
            self.kept = torch.empty_like(self.weights)
            for name, vector in self._vectors().items():
                if entry.tensors[name].shape != vector.shape:
                    raise ValueError(f"{name} has the shape {tuple(entry.tensors[name].shape)}")
                vector.copy_(entry.tensors[name])
            self.offsets.set_state(entry.tensors["random.offsets"])
            torch.set_rng_state(entry.tensors["random.torch"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"what was kept does not fit the network ({error})") from error

    def _vectors(self) -> dict[str, torch.Tensor]:
        """All that training changes, each a vector with a number for every weight."""
        vectors = {"weights.all": self.weights, "average.all": self.averaged, "best.all": self.kept}
        vectors |= {"adam.mean": self.adam.mean, "adam.square": self.adam.square}
        return {name: vector for name, vector in vectors.items() if vector is not None}


def fit(
    network: Network,
    train: Inputs,
    valid: Inputs,
    recipe: Recipe,
    budget: Budget,
    seed: int,
    on_progress: OnProgress,
    journal: Journal | None = None,
) -> list[dict[str, float]]:
    """Leaves the network with the weights that did best on `valid`; returns one row per epoch.

    With a journal every epoch is kept in it, and one that is there is gone on from: the end is the same, bit for bit.
    """
    training = _begun(network, recipe, budget, seed, on_progress, journal)
    while not training.standing.over(budget):
        training.epoch(train, valid)
        if journal:
            journal.write(training.entry())
        last = training.standing.history[-1]
        on_progress(f"epoch {last['epoch']}: {last['valid_bits']:.3f} bits", last["epoch"], budget.max_epochs)
    if training.kept is not None:
        training.weights.copy_(training.kept)
    return training.standing.history


def _begun(
    network: Network, recipe: Recipe, budget: Budget, seed: int, on_progress: OnProgress, journal: Journal | None
) -> Training:
    """A training as the journal has it, or one from the start where that has none or one that does not fit."""
    training, found = Training(network, recipe, budget, seed), journal.read() if journal else None
    if not (journal and found):
        return training
    weights, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    try:
        training.go_on(found)
    except CheckpointError as error:
        journal.put_aside(str(error))
        network.load_state_dict(weights)
        torch.set_rng_state(random)
        return Training(network, recipe, budget, seed)
    on_progress(f"going on after epoch {found.epoch}", found.epoch, budget.max_epochs)
    return training


def _losses(
    network: Network, train: Inputs, recipe: Recipe, offset: int
) -> Iterator[tuple[tuple[torch.Tensor, torch.Tensor], int]]:
    """Chunk by chunk: nats of marks and of log dt, and of how many events."""
    network.train()
    laid = lay(train, recipe.lanes, offset)
    state: object = None
    for begin in range(0, laid.mark.shape[1], recipe.steps):
        part = chunk(laid, begin, recipe.steps)
        memory, state = network.run(part, state)
        state = detach(state)
        yield network.losses(memory, part), part.mark.numel()


@torch.no_grad()
def measure(network: Network, inputs: Inputs, recipe: Recipe) -> tuple[float, float]:
    """Mean nats of marks and of standardised log dt over all lanes, the state carried through each lane."""
    network.eval()
    laid = lay(inputs, min(4, recipe.lanes), 0)
    total, state, steps = torch.zeros(2, dtype=torch.float64), None, laid.mark.shape[1]
    for begin in range(0, steps, MEASURED):
        part = chunk(laid, begin, MEASURED)
        memory, state = network.run(part, state)
        total += torch.stack(network.losses(memory, part)).double() * part.mark.shape[1]
    mark_nats, slice_nats = (total / steps).tolist()
    return mark_nats, slice_nats
