"""The training of the KernelOracle paper, with a switch for each of its choices, and baselines for its loss curve.

`AS_CODED` does what the published code does, `AS_WRITTEN` what the text says. `CORRECTED` keeps events in order, tests
on events that were not trained on, and keeps the outlier. The loss is the paper's: the mean squared error over all
columns, of which the first is the time and each other one a task name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from model.errors import SettingError, StreamError
from model.nn.one_thread import one_thread
from model.predictor import OnProgress, ignore_progress
from model.settings import MIN_SEQUENCES, SEQUENCES

HELD_OUT = 30 / SEQUENCES  # share that is not trained on, at the start, or not tested on, at the end
HIDDEN = 51
LEARNING_RATE = 0.8
SEED = 42


@dataclass(frozen=True)
class Choices:
    """The choices that the paper's code, its text and the correction make differently.

    `scrambled`: the cells of a sequence are reshaped column-wise, so that a step mixes cells of rows far apart.
    `overlapping`: the test contains sequences that were trained on (all but 30 of 954). `scaling` of time: `min_max` or
    `z_score`. `outlier`: `zero` sets the longest time to 0, `drop` removes its row, `keep` changes nothing.
    """

    scrambled: bool = True
    overlapping: bool = True
    scaling: str = "min_max"
    outlier: str = "zero"
    steps: int = 15
    sequences: int = SEQUENCES

    def __post_init__(self) -> None:
        if self.scaling not in ("min_max", "z_score") or self.outlier not in ("zero", "drop", "keep"):
            raise SettingError("expected scaling min_max or z_score, and outlier zero, drop or keep")
        if self.steps < 1 or self.sequences < MIN_SEQUENCES:
            raise SettingError(f"expected at least one step and {MIN_SEQUENCES} sequences")


AS_CODED = Choices()
AS_WRITTEN = Choices(scaling="z_score", outlier="drop", steps=30)
CORRECTED = Choices(scrambled=False, overlapping=False, scaling="min_max", outlier="keep")


@dataclass(frozen=True)
class Curve:
    """Mean squared errors: of the network after each step, and of three baselines.

    `constant` is the best single number for all cells. `column_clock` is the best number for each original column,
    which is all that can be known once the cells are scrambled. `table` predicts each row from the previous one, with
    rows in order.
    """

    train: list[float]
    test: list[float]
    constant: float
    column_clock: float
    table: float
    columns: int

    def history(self) -> list[dict[str, float]]:
        """Return one row per step; each repeats the losses of the baselines."""
        level = {"constant_loss": self.constant, "column_clock_loss": self.column_clock, "table_loss": self.table}
        pairs = zip(self.train, self.test, strict=True)
        return [
            {"step": float(step), "train_loss": train, "test_loss": test, **level}
            for step, (train, test) in enumerate(pairs, 1)
        ]


@dataclass(frozen=True)
class Layout:
    """The layout of a row: the names that have a column, sorted, and the scale of the time."""

    names: np.ndarray
    offset_ns: float
    spread_ns: float

    @classmethod
    def measure(cls, names: Sequence[str] | np.ndarray, slice_ns: np.ndarray, choices: Choices) -> Layout:
        """Return the columns and the scale of the training events, after the outlier was treated as chosen."""
        time, kept = _with_outlier(slice_ns, choices)
        time = time[kept]
        if choices.scaling == "min_max":
            return cls(np.unique(names), float(time.min()), max(float(np.ptp(time)), 1.0))
        return cls(np.unique(names), float(time.mean()), max(float(time.std()), 1e-9))

    def rows(self, names: Sequence[str] | np.ndarray, slice_ns: np.ndarray) -> np.ndarray:
        """Return (events, 1 + names) float64: the time, then a column per name; an unknown name is all zero."""
        time = (np.asarray(slice_ns, float) - self.offset_ns) / self.spread_ns
        return np.concatenate([time[:, None], np.asarray(names)[:, None] == self.names], axis=1)


def rows(names: Sequence[str] | np.ndarray, slice_ns: np.ndarray, choices: Choices) -> np.ndarray:
    """Return the rows (events, 1 + names) of a recording, its outlier treated as chosen. StreamError if too few."""
    time, kept = _with_outlier(slice_ns, choices)
    matrix = Layout.measure(names, slice_ns, choices).rows(names, time)[kept]
    if len(matrix) < 3 * choices.sequences:
        raise StreamError(f"{len(matrix)} switches: too few for {choices.sequences} sequences; record longer")
    return matrix


def _with_outlier(slice_ns: np.ndarray, choices: Choices) -> tuple[np.ndarray, np.ndarray]:
    """Return the times (events,), and which events stay."""
    time, kept = np.asarray(slice_ns, float).copy(), np.ones(len(slice_ns), bool)
    longest = int(np.argmax(time))
    if choices.outlier == "zero":
        time[longest] = 0
    kept[longest] = choices.outlier != "drop"
    return time, kept


def lay_out(matrix: np.ndarray, scrambled: bool, sequences: int = SEQUENCES) -> np.ndarray:
    """Return (sequences, steps, columns): in order, or as the paper's code has it, which reshapes and transposes."""
    steps, columns = len(matrix) // sequences, matrix.shape[1]
    kept = matrix[: steps * sequences]
    if scrambled:
        return kept.reshape(sequences, columns, steps).transpose(0, 2, 1)
    return kept.reshape(sequences, steps, columns)


def split(sequences: np.ndarray, overlapping: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the sequences to train on and to test on: overlapping as in the code, or the first 85 % and the rest.

    The share that overlaps is the paper's for any number of sequences, because its test loss depends on it.
    """
    if overlapping:
        held_out = round(len(sequences) * HELD_OUT)
        return sequences[held_out:], sequences[: len(sequences) - held_out]
    end = int(len(sequences) * 0.85)
    return sequences[:end], sequences[end:]


Cell = tuple[torch.Tensor, torch.Tensor]
Memory = tuple[Cell | None, Cell | None]


class Cells(nn.Module):
    """The network: two LSTM cells of HIDDEN units and a linear layer, run step by step in double precision."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.first = nn.LSTMCell(columns, HIDDEN)
        self.second = nn.LSTMCell(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, columns)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the prediction of each next row, for rows (batch, steps, columns)."""
        return self.run(rows)[0]

    def run(self, rows: torch.Tensor, memory: Memory = (None, None)) -> tuple[torch.Tensor, Memory]:
        """Return the predictions, starting from a memory, and the memory after the last step."""
        first, second = memory
        predicted = []
        for step in range(rows.shape[1]):
            first = self.first(rows[:, step], first)
            second = self.second(first[0], second)
            predicted.append(self.out(second[0]))
        return torch.stack(predicted, dim=1), (first, second)


@one_thread()
def train(
    names: Sequence[str] | np.ndarray,
    slice_ns: np.ndarray,
    choices: Choices,
    on_progress: OnProgress = ignore_progress,
    seed: int = 0,
) -> tuple[Cells, Curve]:
    """Train as the paper does, on a recording's names and slice lengths; return the network and its curve.

    It takes minutes. `seed` 0 draws the initial weights that the paper's code draws.
    """
    torch.manual_seed(SEED + seed)
    matrix = rows(names, slice_ns, choices)
    sequences = lay_out(matrix, choices.scrambled, choices.sequences)
    trained, tested = (torch.from_numpy(part.copy()) for part in split(sequences, choices.overlapping))
    cells = Cells(matrix.shape[1]).double()
    optimiser = torch.optim.LBFGS(cells.parameters(), lr=LEARNING_RATE)
    losses: tuple[list[float], list[float]] = ([], [])

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = _loss(cells, trained)
        loss.backward()
        return loss

    for step in range(choices.steps):
        optimiser.step(closure)
        with torch.no_grad():
            for curve, part in zip(losses, (trained, tested), strict=True):
                curve.append(float(_loss(cells, part)))
        on_progress(f"step {step + 1}: test loss {losses[1][-1]:.4f}", step + 1, choices.steps)
    return cells, Curve(*losses, *baselines(matrix), matrix.shape[1])


def _loss(cells: Cells, sequences: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(cells(sequences[:, :-1]), sequences[:, 1:])


def baselines(matrix: np.ndarray) -> tuple[float, float, float]:
    """Return the mean squared errors of the constant, the column clock and the order-1 table, over all cells."""
    constant, clock = float(matrix.var()), float(matrix.var(axis=0).mean())
    before, after = matrix[:-1, 1:].argmax(axis=1), matrix[1:]
    total = np.zeros((matrix.shape[1] - 1, matrix.shape[1]))
    np.add.at(total, before, after)
    mean = total / np.maximum(np.bincount(before, minlength=len(total)), 1)[:, None]
    return constant, clock, float(((after - mean[before]) ** 2).mean())
