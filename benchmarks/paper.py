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
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from paper_figure import Rows, draw

from harness import spec
from harness.errors import HarnessError
from model import jobs
from model.data.find_recordings import recordings
from model.errors import PredictionError
from model.predictors import REPRODUCTIONS, find
from model.scoring.bootstrap import seed_interval
from model.scoring.metrics import INTERVALS
from model.scoring.seeds import summarise

LEVELS = ("constant", "column_clock", "table")
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "paper.yaml"


@dataclass(frozen=True)
class Trained:
    """One model's folder, read: its scores, and its history with one row per step."""

    folder: Path
    scores: dict[str, Any]
    history: list[dict[str, float]]

    @classmethod
    def read(cls, folder: Path) -> Trained:
        """From the files that a job leaves."""
        found = json.loads((folder / jobs.SCORES).read_text())
        return cls(folder, found, pq.read_table(folder / jobs.HISTORY).to_pylist())


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
    with tempfile.TemporaryDirectory() as scratch:
        try:
            trained = models(asked, Path(scratch))
            table = list(scores(trained))
        except (PredictionError, HarnessError) as error:
            parser.exit(1, f"{error}\n")
    reproduced = curves(trained)
    for line in (*losses(reproduced), "", *table):
        print(line)
    if asked.figure:
        asked.figure.write_text(draw(reproduced))


def models(asked: argparse.Namespace, scratch: Path) -> list[Trained]:
    """Those of a run, or else trained now."""
    folders = stored(asked.recordings) or fitted(asked, asked.out or scratch)
    return [Trained.read(folder) for folder in folders]


def curves(trained: list[Trained]) -> dict[str, list[Rows]]:
    """The history of each seed, by the name of the choices."""
    found: dict[str, list[Rows]] = {}
    for one in trained:
        if one.scores["predictor"] in REPRODUCTIONS:
            found.setdefault(one.scores["predictor"], []).append(one.history)
    return found


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


def losses(reproduced: Mapping[str, list[Rows]]) -> Iterator[str]:
    """Where the curves begin, bend and end, beside those that know next to nothing; means over seeds."""
    yield (
        "| choices | seeds | steps | first loss | a constant | the column clock | below it from step | "
        "a step's fall in the first 10 | in the last 10 | last loss | order-1 table, rows in order |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, seeds in reproduced.items():
        test = np.array([[row["test_loss"] for row in rows] for rows in seeds])
        level = {key: float(np.mean([rows[0][f"{key}_loss"] for rows in seeds])) for key in LEVELS}
        yield (
            f"| {name} | {len(seeds)} | {test.shape[1]} | {spread(test[:, 0])} | {level['constant']:.4f} | "
            f"{level['column_clock']:.4f} | {passed(test, level['column_clock'])} | {fall(test[:, :11])} | "
            f"{fall(test[:, -11:])} | {spread(test[:, -1])} | {level['table']:.4f} |"
        )


def spread(values: np.ndarray) -> str:
    """The mean over seeds, and half its 95 % interval where there are several."""
    ends = seed_interval(values.tolist())
    return f"{values.mean():.4f}" + (f" ± {(ends[1] - ends[0]) / 2:.4f}" if ends else "")


def passed(test: np.ndarray, level: float) -> str:
    """The first step below a level, of each seed; (seeds, steps) losses."""
    steps = [int(np.argmax(row < level)) + 1 if (row < level).any() else None for row in test]
    return ", ".join("never" if step is None else str(step) for step in steps)


def fall(test: np.ndarray) -> str:
    """How much the loss falls a step, over seeds and steps; (seeds, steps) losses."""
    return f"{(test[:, 0] - test[:, -1]).mean() / max(test.shape[1] - 1, 1):.5f}"


def scores(trained: list[Trained]) -> Iterator[str]:
    """Every predictor on the test part, events in order; means over seeds, and both intervals."""
    yield (
        "| predictor | inputs | seeds | top-1 % | bits/switch | over events | over seeds | contested top-1 % | "
        "over events | over seeds |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in summarise([one.scores for one in trained], [one.folder for one in trained]):
        overall, contested = row["overall"], row["contested"]
        told = [f"{100 * overall['top1']:.1f}", *with_intervals(overall, "bits_per_switch", "{:.3f}", 1)]
        told += with_intervals(contested, "top1", "{:.1f}", 100)
        yield f"| {row['predictor']} | {row['regime']} | {len(row['seeds'])} | {' | '.join(told)} |"
    first = trained[0].scores
    chance = first["contested"].get("chance_top1")
    yield ""
    yield (
        f"{first['test_events']:,} switches tested on, {first['share_contested']:.1%} of them contested"
        + (f"; a blind pick is right in {chance:.1%} of those." if chance is not None else ".")
    )


def with_intervals(part: Mapping[str, Any], score: str, form: str, times: float) -> list[str]:
    """A score, its interval over blocks of events, and over seeds; a dash where there is none."""
    if part.get(score) is None:
        return ["-"] * 3
    ends = [part.get(name) for name in (INTERVALS.get(score, f"{score}_ci"), f"{score}_seeds_ci")]
    between = [" to ".join(form.format(times * end) for end in pair) if pair else "-" for pair in ends]
    return [form.format(times * part[score]), *between]


if __name__ == "__main__":
    main()
