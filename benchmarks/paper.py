"""The paper's loss curves on your recordings, beside baselines for them, and the scores of the same networks.

    python benchmarks/paper.py RECORDING [...] [--figure FILE.svg] [--out FOLDER] [--experiment FILE.yaml]

RECORDING is a run folder of the experiment, whose models are read, or a folder that `harness trace convert` wrote; then
the models of the experiment file are trained on it, which takes minutes, and stored under --out. Prints two tables.
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
from harness.report.interval_basis import IntervalBasis
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
    """The scores of one model folder, and its history with one row per step."""

    folder: Path
    scores: dict[str, Any]
    history: list[dict[str, float]]

    @classmethod
    def read(cls, folder: Path) -> Trained:
        """Read the files that a job leaves."""
        scores = json.loads((folder / jobs.SCORES).read_text())
        return cls(folder, scores, pq.read_table(folder / jobs.HISTORY).to_pylist())


def main() -> None:
    """Train the models that are missing, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recordings", nargs="+", type=Path, help="a run folder, or folders with a slices table")
    parser.add_argument("--figure", type=Path, help="where to draw the curves, as SVG")
    parser.add_argument(
        "--out", type=Path, help="where to store trained models; those already there are not trained again"
    )
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    parser.add_argument("--workers", type=int, default=2, help="models trained at once, one thread each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            trained = models(arguments, Path(scratch))
            table = list(scores(trained))
        except (PredictionError, HarnessError) as error:
            parser.exit(1, f"{error}\n")
    histories = curves(trained)
    for line in (*losses(histories), "", *table):
        print(line)
    if arguments.figure:
        arguments.figure.write_text(draw(histories))


def models(arguments: argparse.Namespace, scratch: Path) -> list[Trained]:
    """Return the models of a run folder, or those trained now."""
    folders = stored(arguments.recordings) or fitted(arguments, arguments.out or scratch)
    return [Trained.read(folder) for folder in folders]


def curves(trained: list[Trained]) -> dict[str, list[Rows]]:
    """Return the history of each seed of the paper's networks, by predictor."""
    histories: dict[str, list[Rows]] = {}
    for model in trained:
        if model.scores["predictor"] in REPRODUCTIONS:
            histories.setdefault(model.scores["predictor"], []).append(model.history)
    return histories


def stored(paths: list[Path]) -> list[Path]:
    """Return the model folders of the run folders, the paper's networks first; none if the paper's are missing."""
    folders = [scores.parent for path in paths for scores in sorted(path.glob("models/*/scores.json"))]
    folders.sort(key=lambda folder: not folder.name.startswith("paper_"))
    return folders if any(folder.name.startswith("paper_") for folder in folders) else []


def fitted(arguments: argparse.Namespace, out: Path) -> list[Path]:
    """Train the missing models of the experiment on the recordings; return the folders of all of them."""
    wanted = list(_jobs(spec.load(arguments.experiment).model, tuple(recordings(arguments.recordings)), out))
    missing = [job for job in wanted if not jobs.done(job)]
    with ProcessPoolExecutor(arguments.workers) as pool:
        for result in pool.map(jobs.run, missing):
            seconds = f"{result['fit_seconds']:.0f} s"
            print(f"{result['predictor']}, seed {result['seed']}: trained in {seconds}", file=sys.stderr)
    return [job.out_dir for job in wanted]


def _jobs(model: Any, tables: tuple[Path, ...], out: Path) -> Iterator[jobs.Job]:
    for name in model.predictors:
        for seed in model.seeds if find(name).seeded else model.seeds[:1]:
            params = model.params.get(name, {})
            yield jobs.Job(tables, name, seed, model.mark, model.split, out / f"{name}_s{seed}", params)


def losses(histories: Mapping[str, list[Rows]]) -> Iterator[str]:
    """Yield a table of where the curves begin, bend and end, beside the baselines; means over seeds."""
    yield (
        "| choices | seeds | steps | first loss | a constant | the column clock | below it from step | "
        "a step's fall in the first 10 | in the last 10 | last loss | order-1 table, rows in order |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, seeds in histories.items():
        test = np.array([[row["test_loss"] for row in rows] for rows in seeds])
        level = {key: float(np.mean([rows[0][f"{key}_loss"] for rows in seeds])) for key in LEVELS}
        yield (
            f"| {name} | {len(seeds)} | {test.shape[1]} | {with_interval(test[:, 0])} | {level['constant']:.4f} | "
            f"{level['column_clock']:.4f} | {passed(test, level['column_clock'])} | {fall(test[:, :11])} | "
            f"{fall(test[:, -11:])} | {with_interval(test[:, -1])} | {level['table']:.4f} |"
        )


def with_interval(values: np.ndarray) -> str:
    """Return the mean over seeds, and half its 95 % interval if there are several."""
    interval = seed_interval(values.tolist())
    return f"{values.mean():.4f}" + (f" ± {(interval[1] - interval[0]) / 2:.4f}" if interval else "")


def passed(test: np.ndarray, level: float) -> str:
    """Return the first step of each seed whose loss is below a level; test: (seeds, steps)."""
    steps = [int(np.argmax(row < level)) + 1 if (row < level).any() else None for row in test]
    return ", ".join("never" if step is None else str(step) for step in steps)


def fall(test: np.ndarray) -> str:
    """Return the mean decrease of the loss per step; test: (seeds, steps)."""
    return f"{(test[:, 0] - test[:, -1]).mean() / max(test.shape[1] - 1, 1):.5f}"


def scores(trained: list[Trained]) -> Iterator[str]:
    """Yield a table of all predictors on the test part, events in order; means over seeds, and both intervals."""
    rows = summarise([model.scores for model in trained], [model.folder for model in trained])
    basis = IntervalBasis(rows[0].get("interval_trials", 1), len(rows[0]["by_trial"])).text
    yield (
        f"| predictor | inputs | seeds | top-1 % | bits/switch | {basis} | over seeds | contested top-1 % | {basis} | "
        "over seeds |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        overall, contested = row["overall"], row["contested"]
        cells = [f"{100 * overall['top1']:.1f}", *with_intervals(overall, "bits_per_switch", "{:.3f}", 1)]
        cells += with_intervals(contested, "top1", "{:.1f}", 100)
        yield f"| {row['predictor']} | {row['regime']} | {len(row['seeds'])} | {' | '.join(cells)} |"
    first = trained[0].scores
    chance = first["contested"].get("chance_top1")
    yield ""
    yield (
        f"{first['test_events']:,} switches tested on, {first['share_contested']:.1%} of them contested"
        + (f"; a blind pick is right in {chance:.1%} of those." if chance is not None else ".")
    )


def with_intervals(part: Mapping[str, Any], score: str, form: str, times: float) -> list[str]:
    """Return a score, its 95 % interval, and that over seeds; a dash for what is missing."""
    if part.get(score) is None:
        return ["-"] * 3
    intervals = [part.get(name) for name in (INTERVALS.get(score, f"{score}_ci"), f"{score}_seeds_ci")]
    cells = [" to ".join(form.format(times * end) for end in interval) if interval else "-" for interval in intervals]
    return [form.format(times * part[score]), *cells]


if __name__ == "__main__":
    main()
