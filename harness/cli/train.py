"""`harness train | evaluate | predict`: predictors on recordings that are there already."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.train_jobs import TEMPORAL, Asked, answer, as_model_error, fit, params_of
from harness.errors import UsageError

Paths = Annotated[list[Path], typer.Argument(help="Runs, or folders that `harness trace convert` wrote.")]
Predictors = Annotated[
    list[str] | None, typer.Option("--predictor", "-p", help="A predictor's name; may be given several times.")
]
Mark = Annotated[str, typer.Option(help="What is predicted: task (name and thread) or comm (name).")]
Regime = Annotated[str | None, typer.Option(help="Every predictor with these inputs: marks, slices or runqueue.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="A seed; may be given several times. Default: 0.")]
Split = Annotated[
    str,
    typer.Option(
        help="What is tested on: temporal (the last 15 % of each recording), or in turn each recording, load, host or "
        "run, predicted from the others."
    ),
]
Tested = Annotated[
    list[Path] | None,
    typer.Option("--test", help="Test on this other run or folder, whole; may be given several times."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that train; default: one per CPU.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="PREDICTOR.SETTING=VALUE, as gru.hidden=32; repeatable."),
]


@handled
def train(
    paths: Paths,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets one folder per model.")],
    predictors: Predictors = None,
    mark: Mark = "task",
    regime: Regime = None,
    seeds: Seeds = None,
    settings: Settings = None,
    split: Split = TEMPORAL,
    test: Tested = None,
    workers: Workers = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train predictors on the first 85 % of each recording, score them on the rest, and keep them.

    Into the same folder again, it goes on: what is trained is kept, and a network that was being trained when it was
    stopped goes on after its last epoch.
    """
    fit(_asked(paths, predictors, regime, mark, seeds, settings, split, test), out, workers, Output(as_json, quiet))


@handled
def evaluate(
    paths: Paths,
    models: Annotated[
        list[Path] | None,
        typer.Option("--model", help="Score this stored model instead of training; its other seeds likewise."),
    ] = None,
    predictors: Predictors = None,
    mark: Mark = "task",
    regime: Regime = None,
    seeds: Seeds = None,
    settings: Settings = None,
    split: Split = TEMPORAL,
    test: Tested = None,
    workers: Workers = None,
    share: Annotated[float, typer.Option(help="With --model: score this last share of each recording.")] = 1.0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Score predictors, trained for the purpose and not kept, or a stored one on recordings it did not learn from."""
    output = Output(as_json, quiet)
    _check_stored(models, [predictors, regime, seeds, settings, test, mark != "task", split != TEMPORAL], share)
    if not models:
        asked = _asked(paths, predictors, regime, mark, seeds, settings, split, test)
        with tempfile.TemporaryDirectory(prefix="harness-models-") as folder:
            return fit(asked, Path(folder), workers, output)
    with as_model_error():
        told = _scored(models, paths, share)
    for name in dict.fromkeys(name for one in told for name in one["also_learned_from"]):
        why = f"a model learned from {name}, so its scores there flatter it"
        output.view().show(
            "warn", f"{why}: score it on other recordings, or on what it was kept from with --share 0.15"
        )
    answer(told, output)


@handled
def predict(
    path: Annotated[Path, typer.Argument(help="A folder that `harness trace convert` wrote, or one trial of a run.")],
    model: Annotated[Path, typer.Option("--model", help="The folder of a stored model.")],
    events: Annotated[int, typer.Option(min=1, help="How many events at the end of each CPU's stream.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="How many likely tasks to name.")] = 3,
    as_json: JsonFlag = False,
) -> None:
    """Print what a stored model foresaw at the end of a recording, beside what the kernel did."""
    from harness.terminal import score_tables

    with as_model_error():
        from model.data import find_recordings
        from model.predict import forecast

        found = [one for folder in find_recordings.recordings([path]) for one in forecast(model, folder, events, top)]
    Output(as_json).data([asdict(one) for one in found])
    Output(as_json).show(score_tables.forecasts(found))


def _check_stored(models: list[Path] | None, of_training: list[Any], share: float) -> None:
    """What is asked for and would not be heeded is a mistake."""
    if models and any(of_training):
        raise UsageError(
            "--model scores what is stored: a model keeps its predictor, mark, seed and settings",
            expected="no --predictor, --regime, --mark, --seed, --set, --split, --test beside it",
        )
    if not models and share != 1.0:
        raise UsageError("--share is of a stored model", expected="--model beside it")


def _scored(models: list[Path], paths: list[Path], share: float) -> list[dict[str, Any]]:
    """Scores of stored models, those that differ in nothing but their seed as one."""
    from model.data import find_recordings
    from model.predict import score
    from model.scoring import seeds

    recordings = find_recordings.recordings(paths)
    each = {model.resolve(): model for model in models}.values()  # one that is named twice is no second seed
    scored = [score(model, recordings, share) for model in each]
    return seeds.summarise([scores for scores, _ in scored], [outcomes for _, outcomes in scored])


def _asked(
    paths: list[Path],
    predictors: list[str] | None,
    regime: str | None,
    mark: str,
    seeds: list[int] | None,
    settings: list[str] | None,
    split: str,
    test: list[Path] | None,
) -> Asked:
    from model.scoring.folds import BY

    if split != TEMPORAL and (split not in BY or test):
        expected = f"one of {', '.join((TEMPORAL, *BY))}, and no --test beside a split into groups"
        raise UsageError(f"--split {split}", expected=expected)
    chosen = _chosen(predictors, regime)
    wanted = list(dict.fromkeys(seeds or [0]))  # named twice, one would be trained twice in one folder
    return Asked(paths, chosen, mark, wanted, params_of(settings or [], chosen), split, test or ())


def _chosen(predictors: list[str] | None, regime: str | None) -> list[str]:
    from model.predictor import INPUTS
    from model.predictors import KINDS, REPRODUCTIONS, find, installed

    if regime is not None and regime not in INPUTS:
        raise UsageError(f"unknown regime {regime!r}", where="--regime", expected=", ".join(INPUTS))
    with as_model_error():
        for name in predictors or []:
            find(name)
        every = [name for name in KINDS if installed(name) and name not in REPRODUCTIONS]
        wanted = list(dict.fromkeys(predictors or [])) or (every if regime else ["most_frequent", "markov"])
        chosen = [name for name in wanted if regime is None or find(name).inputs == regime]
    if not chosen:
        raise UsageError(f"none of {', '.join(wanted)} is of the regime {regime}", where="--regime")
    return chosen
