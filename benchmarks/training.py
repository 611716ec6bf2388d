"""Training speed of the recommended recurrent networks beside the paper's loop: same machine, same run, one thread.

    python benchmarks/training.py                       # on a synthetic source
    python benchmarks/training.py RECORDING [...]       # on your recordings

The paper trained two LSTM cells of 51 units in double precision, stepping through Python, with one linear layer and the
mean squared error over all columns; `model.nn.kernel_oracle` rebuilds that loop. Only its forward and backward pass
is timed, without the optimiser, which favours the paper: with its 984 sequences, but of 15 steps, and with 64 sequences
of 256 steps. The loops take turns, so that other load slows all of them down, and CPU
time counts. The last line is the training time after which an LSTM needs fewer bits than the order-5 table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch

from model.data import streams, synthetic
from model.nn.batches import Scale, concatenate
from model.nn.kernel_oracle import Cells
from model.nn.network import Network
from model.nn.trainer import Budget, Hyperparameters, Trainer
from model.predictor import ignore_progress
from model.predictors import create
from model.predictors.recurrent import Recurrent

PAPER_COLUMNS = 29  # 28 names and the time
SECONDS = 10.0  # each loop is measured for about as long
ROUNDS = 8
EPOCHS = 10  # at most, until the LSTM needs fewer bits than the table


def rates(loops: dict[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Return events per CPU second of each loop, the median of its turns; a call of a loop returns its events."""
    turns: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for name, step in loops.items():
            rate = _rate(step, seconds / ROUNDS)
            if turn:  # the first warms up
                turns[name].append(rate)
    return {name: median(rates) for name, rates in turns.items()}


def _rate(step: Callable[[], int], seconds: float) -> float:
    began, events = time.process_time(), 0
    while time.process_time() - began < seconds:
        events += step()
    return events / (time.process_time() - began)


def paper_step(batch_size: int, steps: int) -> Callable[[], int]:
    """Return a function that does one forward and backward pass of the paper's loop."""
    cells = Cells(PAPER_COLUMNS).double()
    rows = torch.rand(batch_size, steps, PAPER_COLUMNS, dtype=torch.float64)

    def step() -> int:
        cells.zero_grad()
        torch.nn.functional.mse_loss(cells(rows[:, :-1]), rows[:, 1:]).backward()
        return batch_size * (steps - 1)

    return step


def our_step(dataset: streams.Dataset, kind: str, **settings: object) -> Callable[[], int]:
    """Return a function that does one step of `trainer.fit`: back-propagation, clipping, Adam, averaged weights."""
    predictor = create(kind, settings)
    assert isinstance(predictor, Recurrent)
    marks = len(dataset.vocabulary)
    train = concatenate(dataset.train, Scale.measure(dataset.train), marks)
    batch_size = predictor.lanes or predictor.max_batch_size
    hyperparameters = Hyperparameters(predictor.learning_rate, batch_size, predictor.steps)
    network = Network(marks, predictor.cell, predictor.hidden, predictor.layers, slices=True)
    trainer = Trainer(network, hyperparameters, Budget(), seed=0)

    def forever() -> Iterator[int]:
        while True:
            yield from trainer.steps(train)

    steps = forever()

    return lambda: next(steps)


def seconds_to_pass(dataset: streams.Dataset) -> tuple[float, float | None]:
    """Return the bits of the order-5 table on validation, and the CPU seconds after which an LSTM needs fewer."""
    marks = len(dataset.vocabulary)
    table = create("markov", {"order": 5}).fit(dataset.train, dataset.valid, marks, ignore_progress)[-1]["valid_bits"]
    times = [time.process_time()]
    history = create("lstm", {"seed": 0, "max_epochs": EPOCHS}).fit(
        dataset.train, dataset.valid, marks, lambda *_: times.append(time.process_time())
    )
    better = (end - times[0] for end, row in zip(times[1:], history, strict=True) if row["valid_bits"] < table)
    return table, next(better, None)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recordings", nargs="*", type=Path, help="folders with a slices table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each loop is measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folders = arguments.recordings or [Path(scratch) / "source"]
        if not arguments.recordings:
            synthetic.write(folders[0], synthetic.Source(tasks=12, seed=0), events=60_000)
        dataset = streams.load(folders)
    report(dataset, arguments.seconds)


def report(dataset: streams.Dataset, seconds: float) -> None:
    """Print the rates, then the comparison with the order-5 table."""
    events = sum(len(segment) for segment in dataset.train)
    print(f"{events:,} events to train on, {len(dataset.vocabulary)} marks, one thread, torch {torch.__version__}")
    paper = {
        "the paper: LSTMCell 51 x 2, double, 984 x 15": paper_step(batch_size=984, steps=15),
        "the paper: LSTMCell 51 x 2, double, 64 x 256": paper_step(batch_size=64, steps=256),
    }
    ours = {
        "lstm, by default (40 units), 64 x 64": our_step(dataset, "lstm"),
        "lstm, 48 units, 32 x 64": our_step(dataset, "lstm", hidden=48, lanes=32),
        "gru, by default (48 units), 32 x 64": our_step(dataset, "gru"),
    }
    measured = rates({**paper, **ours}, seconds)
    first, second = (measured[name] for name in paper)
    print(f"{'':48}{'events/s':>12}{'times the':>12}{'times the':>12}")
    print(f"{'':48}{'of CPU':>12}{'first':>12}{'second':>12}")
    for name, rate in measured.items():
        print(f"{name:48}{rate:12,.0f}{rate / first:12.1f}{rate / second:12.1f}")
    table, seconds_needed = seconds_to_pass(dataset)
    took = f"not within {EPOCHS} epochs" if seconds_needed is None else f"after {seconds_needed:.1f} s of CPU"
    print(f"the order-5 table needs {table:.3f} bits a switch on validation; the LSTM needs fewer {took}")


if __name__ == "__main__":
    main()
