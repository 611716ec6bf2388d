"""The paper's loss curve on recordings of your own, and what it really measures.

    python benchmarks/paper.py RECORDING [...] [--steps 15] [--choices as_coded corrected]

Prints the test loss after each step beside the errors of predictors that know next to nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from model import paper, tables
from model.marks import comm_marks
from model.sources import recordings

CHOICES = {"as_coded": paper.AS_CODED, "as_written": paper.AS_WRITTEN, "corrected": paper.CORRECTED}


def events(paths: list[Path]) -> tuple[list[str], np.ndarray]:
    """Names and slice lengths of all recordings, end to end."""
    read = [tables.read(folder, "slices") for folder in recordings(paths)]
    names = [name for table in read for name in comm_marks(tables.texts(table, "comm"))]
    return names, np.concatenate([table["slice_ns"].to_numpy() for table in read])


def main() -> None:
    """Train under each set of choices and print its curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recordings", nargs="+", type=Path, help="runs, or folders with a slices table")
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=["as_coded", "corrected"])
    parser.add_argument("--steps", type=int, help="instead of the paper's number")
    asked = parser.parse_args()
    names, slice_ns = events(asked.recordings)
    print(f"{len(names):,} switches, {len(set(names))} names")
    for choice in asked.choices:
        choices = CHOICES[choice]
        choices = dataclasses.replace(choices, steps=asked.steps or choices.steps)
        show(choice, paper.train(names, slice_ns, choices, lambda what, done, total: print(f"  {what}", flush=True)))


def show(choice: str, curve: paper.Curve) -> None:
    """One curve and its yardsticks."""
    size = curve.columns
    print(f"{choice}: test loss {curve.test[0]:.4f} after the first step, {curve.test[-1]:.4f} after the last")
    print(
        f"  a constant {curve.constant:.4f} (with {size} columns, (1/{size})(1-1/{size}) = {(1 - 1 / size) / size:.4f})"
    )
    print(f"  the column clock {curve.column_clock:.4f}; an order-1 table on rows in order {curve.table:.4f}")


if __name__ == "__main__":
    main()
