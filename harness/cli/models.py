"""`harness train | evaluate | predict`: predictors on recordings that are there already."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.errors import ModelError, UsageError

if TYPE_CHECKING:
    from model.jobs import Job

Paths = Annotated[list[Path], typer.Argument(help="Runs, or folders that `harness trace convert` wrote.")]
Predictors = Annotated[
    list[str] | None, typer.Option("--predictor", "-p", help="A predictor's name; may be given several times.")
]
Mark = Annotated[str, typer.Option(help="What is predicted: task (name and thread) or comm (name).")]
Regime = Annotated[str | None, typer.Option(help="Every predictor of this regime: marks, slices or runqueue.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="A seed; may be given several times. Default: 0.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that train; default: one per CPU.")]
SPLIT = (0.7, 0.15, 0.15)


@handled
def train(
    paths: Paths,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets one folder per model.")],
    predictors: Predictors = None,
    mark: Mark = "task",
    regime: Regime = None,
    seeds: Seeds = None,
    workers: Workers = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train predictors on the first 85 % of each recording, score them on the rest, and keep them."""
    _fit(paths, out, _chosen(predictors, regime), mark, seeds or [0], workers, Output(as_json, quiet))


@handled
def evaluate(
    paths: Paths,
    model: Annotated[Path | None, typer.Option("--model", help="Score this stored model instead of training.")] = None,
    predictors: Predictors = None,
    mark: Mark = "task",
    regime: Regime = None,
    seeds: Seeds = None,
    workers: Workers = None,
    share: Annotated[float, typer.Option(help="With --model: score the last share of each recording.")] = 1.0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Score predictors, trained for the purpose and not kept, or a stored one on recordings it did not learn from."""
    output = Output(as_json, quiet)
    if model is None:
        with tempfile.TemporaryDirectory(prefix="harness-models-") as folder:
            return _fit(paths, Path(folder), _chosen(predictors, regime), mark, seeds or [0], workers, output)
    with _as_model_error():
        from model import apply, sources

        _answer([apply.scores(model, sources.recordings(paths), share)], output)


@handled
def predict(
    path: Annotated[Path, typer.Argument(help="A folder that `harness trace convert` wrote, or one trial of a run.")],
    model: Annotated[Path, typer.Option("--model", help="The folder of a stored model.")],
    events: Annotated[int, typer.Option(min=1, help="How many events at the end of each CPU's stream.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="How many likely tasks to name.")] = 3,
    as_json: JsonFlag = False,
) -> None:
    """Print what a stored model foresaw at the end of a recording, beside what the kernel did."""
    from harness import show

    with _as_model_error():
        from model import apply, sources

        found = [one for folder in sources.recordings([path]) for one in apply.foresee(model, folder, events, top)]
    Output(as_json).data([asdict(one) for one in found])
    Output(as_json).show(show.foreseen(found))


def _chosen(predictors: list[str] | None, regime: str | None) -> list[str]:
    from model.predictors import KINDS, REPRODUCTIONS, find, installed
    from model.predictors.protocol import REGIMES

    if regime is not None and regime not in REGIMES:
        raise UsageError(f"unknown regime {regime!r}", where="--regime", expected=", ".join(REGIMES))
    with _as_model_error():
        for name in predictors or []:
            find(name)
        every = [name for name in KINDS if installed(name) and name not in REPRODUCTIONS]
        wanted = predictors or (every if regime else ["most_frequent", "markov"])
        return [name for name in wanted if regime is None or find(name).regime == regime]


def _fit(
    paths: list[Path],
    out: Path,
    predictors: list[str],
    mark: str,
    seeds: list[int],
    workers: int | None,
    output: Output,
) -> None:
    from harness import engine, training

    jobs = [(job.out_dir.name, job) for job in _jobs(paths, out, predictors, mark, seeds)]
    scores, failed = [], []
    with output.view().step("train", f"Train and score {len(jobs)} models") as watcher:
        heard = training.Heard(watcher, len(jobs))
        for name, answer in engine.spread(jobs, training.work, workers=workers, heard=heard.progress):
            heard.ended(name)
            if isinstance(answer, BaseException):
                failed.append(f"{name}: {answer}")
            else:
                scores.append(answer)
    if not (failed and output.as_json):  # then the error is the one JSON document that is printed
        _answer(sorted(scores, key=lambda one: (predictors.index(one["predictor"]), one["seed"])), output)
    if failed:
        raise ModelError("; ".join(failed))


def _jobs(paths: list[Path], out: Path, predictors: list[str], mark: str, seeds: list[int]) -> Iterator[Job]:
    with _as_model_error():
        from model.jobs import Job
        from model.predictors import find
        from model.sources import recordings

        tables = tuple(recordings(paths))
        for predictor in predictors:
            for seed in seeds if find(predictor).seeded else seeds[:1]:
                yield Job(tables, predictor, seed, mark, SPLIT, out / f"{predictor}_s{seed}")


def _answer(scores: list[dict[str, Any]], output: Output) -> None:
    from harness import show

    output.data(scores[0] if len(scores) == 1 else scores)
    output.show(show.scores_of(scores))


@contextmanager
def _as_model_error() -> Iterator[None]:
    """The prediction package knows nothing of this command; its errors become one that has an exit code."""
    from model.errors import PredictionError

    try:
        yield
    except PredictionError as error:
        raise ModelError(str(error)) from error
