"""How many fewer bits a switch one predictor needs than another, on the same events, with its interval.

    harness train RUN -o MODELS -p slice_markov -p lstm --seed 0 --seed 1 --seed 2
    python benchmarks/comparison.py MODELS lstm slice_markov

Each seed of the first against the second: a paired block bootstrap, no block reaching over the end of a recording.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from model import compare
from model.errors import PredictionError


def lines(models: Path, predictor: str, baseline: str) -> Iterator[str]:
    """A row for each seed and each kind of switch. SystemExit where there is nothing to compare."""
    folders = sorted(models.glob(f"{predictor}_s*/"))
    against = sorted(models.glob(f"{baseline}_s*/"))
    if not folders or not against:
        raise SystemExit(f"{models}: expected folders {predictor}_s0, ... and {baseline}_s0 that `harness train` wrote")
    yield f"{'':12}{'switches':>10}{'events':>10}{predictor:>16}{baseline:>16}{'fewer bits':>12}   95 % interval"
    for folder in folders:
        for part in compare.PARTS:
            yield f"{folder.name:12}{part:>10}{_row(folder, against[0], part)}"


def _row(folder: Path, baseline: Path, part: str) -> str:
    try:
        found = compare.saving(folder, baseline, part)
    except compare.NothingToCompare:
        return f"{0:10,}"
    span = "in too few blocks" if found.share_ci is None else "{:.1%} to {:.1%}".format(*found.share_ci)
    return f"{found.events:10,}{found.bits:16.3f}{found.baseline_bits:16.3f}{found.share:12.1%}   {span}"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", type=Path, help="the folder that `harness train -o` wrote")
    parser.add_argument("predictor")
    parser.add_argument("baseline")
    asked = parser.parse_args()
    try:
        print("\n".join(lines(asked.models, asked.predictor, asked.baseline)))
    except PredictionError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
