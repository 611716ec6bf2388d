"""How fast the recommended recurrent model trains, beside the paper's loop: same machine, same run, one thread.

    python benchmarks/training.py                       # on a source made for it
    python benchmarks/training.py RECORDING [...]       # and how long it takes to pass the order-5 table on yours

The paper trained two LSTM cells of 51 units in double precision, stepping through Python, with one linear layer and the
mean squared error over all columns; `model.paper` rebuilds that loop from its description.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from model import data, synthetic
from model.lanes import Scale, chunk, joined, lay
from model.network import Network, detach
from model.paper import Cells
from model.predictors import create
from model.predictors.protocol import unwatched
from model.train import CLIP, Recipe

PAPER_COLUMNS = 29  # 28 names and the time
SECONDS = 5.0  # each loop is measured for about as long


def rate(step: Callable[[], int], seconds: float) -> float:
    """Events per second of `step`, which says how many events it worked on; the first call is not timed."""
    step()
    began, events = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        events += step()
    return events / (time.perf_counter() - began)


def paper_step(lanes: int, steps: int) -> Callable[[], int]:
    """One forward and backward pass of the paper's loop."""
    cells = Cells(PAPER_COLUMNS).double()
    rows = torch.rand(lanes, steps, PAPER_COLUMNS, dtype=torch.float64)

    def step() -> int:
        cells.zero_grad()
        torch.nn.functional.mse_loss(cells(rows[:, :-1]), rows[:, 1:]).backward()
        return lanes * (steps - 1)

    return step


def our_step(dataset: data.Dataset, cell: type[torch.nn.Module], hidden: int, lanes: int) -> Callable[[], int]:
    """One step of Adam, truncated back-propagation over the train part, losses of marks and slices."""
    recipe, marks = Recipe(lanes=lanes), len(dataset.vocabulary)
    laid = lay(joined(dataset.train, Scale.of(dataset.train), marks), lanes, 0)
    network = Network(marks, cell, hidden, 1, slices=True)
    adam = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    place: dict[str, object] = {"begin": 0, "state": None}

    def step() -> int:
        begin = int(place["begin"]) if int(place["begin"]) + recipe.steps <= laid.mark.shape[1] else 0  # type: ignore
        part = chunk(laid, begin, recipe.steps)
        memory, state = network.run(part, place["state"])
        place.update(begin=begin + recipe.steps, state=detach(state))
        mark_nats, slice_nats = network.losses(memory, part)
        adam.zero_grad()
        (mark_nats + recipe.slice_weight * slice_nats).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        adam.step()
        return part.mark.numel()

    return step


def seconds_to_pass(dataset: data.Dataset) -> tuple[float, float | None]:
    """Bits of the order-5 table on validation, and after how many seconds of training a GRU needs fewer."""
    marks = len(dataset.vocabulary)
    table = create("markov", {"order": 5}).fit(dataset.train, dataset.valid, marks, unwatched)[-1]["valid_bits"]
    history = create("gru", {"seed": 0}).fit(dataset.train, dataset.valid, marks, unwatched)
    return table, next((row["seconds"] for row in history if row["valid_bits"] < table), None)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recordings", nargs="*", type=Path, help="folders with a slices table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each loop is measured")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as made:
        folders = asked.recordings or [Path(made) / "source"]
        if not asked.recordings:
            synthetic.write(folders[0], synthetic.Source(tasks=12, seed=0), events=60_000)
        dataset = data.load(folders)
    report(dataset, asked.seconds)


def report(dataset: data.Dataset, seconds: float) -> None:
    """The table of rates, then the race against the table."""
    events = sum(len(segment) for segment in dataset.train)
    print(f"{events:,} events to train on, {len(dataset.vocabulary)} marks, one thread, torch {torch.__version__}")
    paper = rate(paper_step(lanes=64, steps=256), seconds)
    print(f"{'the paper: LSTMCell 51 x 2, double, Python steps':52}{paper:12,.0f} events/s")
    for name, cell, hidden, lanes in (
        ("GRU 64, 16 lanes x 64 steps, Adam", torch.nn.GRU, 64, 16),
        ("GRU 64, 64 lanes x 64 steps, Adam", torch.nn.GRU, 64, 64),
        ("LSTM 64, 64 lanes x 64 steps, Adam", torch.nn.LSTM, 64, 64),
    ):
        ours = rate(our_step(dataset, cell, hidden, lanes), seconds)
        print(f"{name:52}{ours:12,.0f} events/s   {ours / paper:4.1f} times")
    table, passed = seconds_to_pass(dataset)
    took = "never, in its budget" if passed is None or math.isnan(passed) else f"after {passed:.1f} s of training"
    print(f"the order-5 table needs {table:.3f} bits a switch on validation; a GRU needs fewer {took}")


if __name__ == "__main__":
    main()
