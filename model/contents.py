"""What a stored predictor consists of: the layers of a network, and the tables, trees and choices of any predictor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from model import checkpoint
from model.checkpoint import Checkpoint
from model.data import provenance
from model.data.clocks import Clock
from model.data.provenance import Provenance
from model.predictor import Neural

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Layer:
    """A layer that has weights of its own: its name in the network, its class, and the shape of each weight."""

    name: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    parameters: int
    trainable: int


@dataclass(frozen=True)
class Part:
    """Arrays that belong together: what they hold, how many things of which unit, and how many numbers that takes."""

    name: str
    what: str
    count: int
    unit: str
    numbers: int


@dataclass(frozen=True)
class Contents:
    """A stored predictor; `parts` are what it holds beside the layers of a network, of which a table has none."""

    stored: Checkpoint
    layers: tuple[Layer, ...]
    parts: tuple[Part, ...]
    recordings: tuple[Provenance, ...]
    clock: Clock
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return all as plain values."""
        return {
            "predictor": self.stored.kind,
            "inputs": self.stored.predictor.inputs,
            "mark": self.stored.mark,
            "vocabulary": list(self.stored.vocabulary.names),
            "settings": self.stored.predictor.settings(),
            "trials": self.stored.about.get("trials"),
            "split": self.stored.about.get("split"),
            "recordings": [recording.facts() for recording in self.recordings],
            **self.clock.facts(),
            "bytes": self.bytes,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "layers": [asdict(layer) for layer in self.layers],
            "parts": [asdict(part) for part in self.parts],
        }

    @property
    def parameters(self) -> int:
        """The number of weights in all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        """The number of weights that training changes."""
        return sum(layer.trainable for layer in self.layers)


class _Kind(NamedTuple):
    """One kind of part: its arrays, and the one whose rows are counted."""

    arrays: str
    counted: str
    part: Part


_KINDS = [
    _Kind(arrays, counted, Part(name, what, 0, unit, 0))
    for name, unit, arrays, counted, what in (
        ("counts of tasks", "contexts", r"\d+\.\w+", r"\d+\.key", "which task came next, by what was before"),
        ("counts of slices", "contexts", r"slice\.\d+\.\w+", r"slice\.\d+\.key", "how long slices lasted, by task"),
        ("context tree", "contexts", "contexts|log_beta|counts", "contexts", "which task came next, in every context"),
        ("tree", "nodes", r"tree\.\w+", r"tree\.feature", "questions, and how often each task ran by the answers"),
        ("boosted trees", "nodes", r"trees\.\w+", r"trees\.feature", "what weighs the runnable tasks"),
        ("boosted trees", "bytes", "trees", "trees", "LightGBM's own text"),
        ("ranks", "ranks", "by_rank|missed", "by_rank", "how often the task of each rank was picked"),
        ("tasks", "tasks", "common|class_of", "common", "how common each task is, and its class in the trees"),
        ("recency", "tasks", "tracked", "tracked", "the tasks whose last run the questions are about"),
        ("columns", "columns", "columns", "columns", "the task of each column of a row"),
        ("lags", "lags", "right", "right", "how often the task of so many events ago came again"),
        ("classes", "edges", r"(slice_)?edges_us", r"(slice_)?edges_us", "where a class of slice lengths ends"),
    )
]
_CHOICES = Part("choices", "numbers that training measured or chose, such as a scale or a strength", 0, "numbers", 0)


def read(folder: Path) -> Contents:
    """Read a stored predictor. Raises CheckpointError."""
    stored = checkpoint.load(folder)
    layers, weights = _network(stored)
    arrays = {name: array for name, array in stored.predictor.arrays().items() if name not in weights}
    size = sum((Path(folder) / name).stat().st_size for name in (checkpoint.CONFIG, checkpoint.WEIGHTS))
    recordings = tuple(provenance.of_model(Path(folder), stored.about))
    return Contents(stored, layers, tuple(_parts(arrays)), recordings, Clock.of(stored.about), size)


def _network(stored: Checkpoint) -> tuple[tuple[Layer, ...], set[str]]:
    """Return the layers of a network, and the names of the arrays that hold their weights."""
    if not isinstance(stored.predictor, Neural):
        return (), set()
    network = stored.predictor.one_step().network
    names = set(network.state_dict())
    return tuple(_layers(network)), names | {f"cells.{name}" for name in names}


def _layers(network: nn.Module) -> Iterator[Layer]:
    for name, module in network.named_modules():
        weights = dict(module.named_parameters(recurse=False))
        if weights:
            sizes = [weight.numel() for weight in weights.values()]
            trained = [weight.numel() for weight in weights.values() if weight.requires_grad]
            shapes = {each: tuple(weight.shape) for each, weight in weights.items()}
            yield Layer(name or "beside the layers", type(module).__name__, shapes, sum(sizes), sum(trained))


def _parts(arrays: Mapping[str, np.ndarray]) -> Iterator[Part]:
    """Group arrays into parts; each is in one."""
    left = dict(arrays)
    for kind in _KINDS:
        mine = {name: left.pop(name) for name in list(left) if re.fullmatch(kind.arrays, name)}
        if mine:
            counted = sum(len(array) for name, array in mine.items() if re.fullmatch(kind.counted, name))
            yield replace(kind.part, count=counted, numbers=sum(array.size for array in mine.values()))
    if left:
        numbers = sum(array.size for array in left.values())
        yield replace(_CHOICES, count=numbers, numbers=numbers)
