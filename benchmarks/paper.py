"""The paper's loss curves on recordings of your own, what they really measure, and the scores they hide.

    python benchmarks/paper.py RECORDING [...] [--figure FILE.svg] [--out FOLDER] [--experiment FILE.yaml]

RECORDING is a run of the experiment, whose models are read, or a folder that `harness trace convert` wrote; the models
that the experiment file asks for are then trained on it, which takes minutes, and kept under --out. Prints two tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from paper_figure import draw

from harness import spec
from harness.errors import HarnessError
from model import jobs
from model.errors import PredictionError
from model.predictors import REPRODUCTIONS, find
from model.seeds import summarise
from model.sources import recordings

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "paper.yaml"


@dataclass(frozen=True)
class Trained:
    """One model's folder, read: its scores, and its history with one row per step."""

    scores: dict[str, Any]
    history: list[dict[str, float]]

    @classmethod
    def read(cls, folder: Path) -> Trained:
        """From the files that a job leaves."""
        return cls(json.loads((folder / jobs.SCORES).read_text()), pq.read_table(folder / jobs.HISTORY).to_pylist())


def main() -> None:
    """Train what is not there yet, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recordings", nargs="+", type=Path, help="a run, or folders with a slices table")
    parser.add_argument("--figure", type=Path, help="where to draw the curves, as SVG")
    parser.add_argument(
        "--out", type=Path, help="where to keep trained models; those already there are not trained again"
    )
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    parser.add_argument("--workers", type=int, default=2, help="models trained at once, one thread each")
    asked = parser.parse_args()
    try:
        trained = models(asked)
    except (PredictionError, HarnessError) as error:
        parser.exit(1, f"{error}\n")
    reproduced = {one.scores["predictor"]: one.history for one in trained if one.scores["predictor"] in REPRODUCTIONS}
    for line in (*losses(reproduced), "", *scores(trained)):
        print(line)
    if asked.figure:
        asked.figure.write_text(draw(reproduced))


def models(asked: argparse.Namespace) -> list[Trained]:
    """Those of a run, or else trained now."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = stored(asked.recordings) or fitted(asked, asked.out or Path(scratch))
        return [Trained.read(folder) for folder in folders]


def stored(paths: list[Path]) -> list[Path]:
    """The models of a run, the paper's first; none where it has none of the paper's."""
    found = [folder.parent for path in paths for folder in sorted(path.glob("models/*/scores.json"))]
    found.sort(key=lambda folder: not folder.name.startswith("paper_"))
    return found if any(folder.name.startswith("paper_") for folder in found) else []


def fitted(asked: argparse.Namespace, out: Path) -> list[Path]:
    """The folders of the models that the experiment asks for, trained on the recordings where they are not there."""
    wanted = list(_jobs(spec.load(asked.experiment).model, tuple(recordings(asked.recordings)), out))
    missing = [job for job in wanted if not jobs.done(job)]
    with ProcessPoolExecutor(asked.workers) as pool:
        for done in pool.map(jobs.run, missing):
            print(f"{done['predictor']}, seed {done['seed']}: trained in {done['fit_seconds']:.0f} s", file=sys.stderr)
    return [job.out_dir for job in wanted]


def _jobs(model: Any, tables: tuple[Path, ...], out: Path) -> Iterator[jobs.Job]:
    for name in model.predictors:
        for seed in model.seeds if find(name).seeded else model.seeds[:1]:
            params = model.params.get(name, {})
            yield jobs.Job(tables, name, seed, model.mark, model.split, out / f"{name}_s{seed}", params)


def losses(reproduced: dict[str, list[dict[str, float]]]) -> Iterator[str]:
    """The ends of each curve, beside those that know next to nothing."""
    yield "| choices | steps | first loss | last loss | a constant | the column clock | order-1 table, rows in order |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, rows in reproduced.items():
        last = rows[-1]
        cells = [rows[0]["test_loss"], last["test_loss"]]
        cells += [last[f"{key}_loss"] for key in ("constant", "column_clock", "table")]
        yield f"| {name} | {len(rows)} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |"


def scores(trained: list[Trained]) -> Iterator[str]:
    """Every predictor on the test part, events in order; means over seeds."""
    yield "| predictor | sees | seeds | top-1 % | bits/switch | contested top-1 % |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in summarise([one.scores for one in trained]):
        contested = row["contested"].get("top1")
        cells = [f"{row['overall']['top1']:.1%}", f"{row['overall']['bits_per_switch']:.3f}"]
        cells += ["-" if contested is None else f"{contested:.1%}"]
        told = " | ".join(cell.rstrip("%") for cell in cells)
        yield f"| {row['predictor']} | {row['regime']} | {len(row['seeds'])} | {told} |"
    first = trained[0].scores
    chance = first["contested"].get("chance_top1")
    yield ""
    yield (
        f"{first['test_events']:,} switches tested on, {first['share_contested']:.1%} of them contested"
        + (f"; a blind pick is right in {chance:.1%} of those." if chance is not None else ".")
    )


if __name__ == "__main__":
    main()
