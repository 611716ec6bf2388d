"""`harness train`, `evaluate` and `predict`: predictors on recordings that exist already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.api.model_errors import as_model_error
from harness.cli import completion
from harness.cli.judgement import StrictTables, exit_unless_sound, refuse_changed
from harness.cli.made_tables import named_as_given, tables_of
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run_or_path import run_or_path
from harness.cli.train_jobs import (
    TEMPORAL,
    TrainRequest,
    judge,
    parse_settings,
    show_scores,
    train_and_show,
)
from harness.errors import MissingExtraError, UsageError
from harness.files import scratch_folder

Paths = Annotated[
    list[Path],
    typer.Argument(
        callback=run_or_path,
        help="Runs, recordings, texts of them, or folders that `harness trace convert` wrote; a run also by its name.",
    ),
]
Predictors = Annotated[
    list[str] | None,
    typer.Option(
        "--predictor",
        "-p",
        help="A predictor's name; may be given several times.",
        autocompletion=completion.predictors,
    ),
]
Mark = Annotated[str, typer.Option(help="What to predict: task (name and thread) or comm (name).")]
Inputs = Annotated[
    str | None,
    typer.Option("--inputs", "--regime", help="Select all predictors with these inputs: marks, slices or runqueue."),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", min=0, max=2**31 - 1, help="A seed; may be given several times. Default: 0."),
]
Split = Annotated[
    str,
    typer.Option(
        help="temporal: test on the last 15 % of each recording. recording, load, host or run: test on each one in "
        "turn, train on the others."
    ),
]
Tested = Annotated[
    list[Path] | None,
    typer.Option(
        "--test",
        callback=run_or_path,
        help="Test on this other run or recording, and on all of it; may be given several times.",
    ),
]
AcrossClocks = Annotated[
    bool,
    typer.Option(
        "--across-clocks",
        help="Go on where the recordings tested on have another clock (host's or counted) than those trained on.",
    ),
]
AcrossKernels = Annotated[
    bool,
    typer.Option(
        "--across-kernels",
        help="Go on where the recordings tested on are of another kernel release than those trained on.",
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that train; default: one more than CPUs.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="PREDICTOR.SETTING=VALUE, such as gru.hidden=32; may be given several times."),
]


@handled
def train(
    paths: Paths,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the models, one folder each.")],
    predictors: Predictors = None,
    mark: Mark = "task",
    inputs: Inputs = None,
    seeds: Seeds = None,
    settings: Settings = None,
    split: Split = TEMPORAL,
    test: Tested = None,
    across_clocks: AcrossClocks = False,
    across_kernels: AcrossKernels = False,
    workers: Workers = None,
    strict: StrictTables = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train predictors, score them on test events (by default the last 15 % of each recording), and keep them.

    Run again with the same folder, it continues: trained models are kept, and a network whose training was stopped
    continues after its last epoch. Exits with 1 if a recording is not whole.
    """
    across = across_clocks, across_kernels
    request = _request(paths, predictors, inputs, mark, seeds, settings, split, test, across, strict)
    output = Output(as_json, quiet)
    with _with_tables(request, output) as request:
        train_and_show(request, out, workers, output)


@handled
def evaluate(
    paths: Paths,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--model", exists=True, help="Score this stored model instead of training; may be given several times."
        ),
    ] = None,
    predictors: Predictors = None,
    mark: Mark = "task",
    inputs: Inputs = None,
    seeds: Seeds = None,
    settings: Settings = None,
    split: Split = TEMPORAL,
    test: Tested = None,
    across_clocks: AcrossClocks = False,
    across_kernels: AcrossKernels = False,
    workers: Workers = None,
    share: Annotated[float, typer.Option(help="With --model: score only this last share of each recording.")] = 1.0,
    strict: StrictTables = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train predictors, score them and delete them; or score a stored model on recordings it was not trained on.

    Exits with 1 if a recording is not whole.
    """
    output = Output(as_json, quiet)
    _reject_ignored(models, [predictors, inputs, seeds, settings, test, mark != "task", split != TEMPORAL], share)
    if not models:
        across = across_clocks, across_kernels
        request = _request(paths, predictors, inputs, mark, seeds, settings, split, test, across, strict)
        with scratch_folder("models") as folder, _with_tables(request, output) as request:
            return train_and_show(request, folder, workers, output)
    with tables_of(paths, output) as (tables, names), named_as_given(names), as_model_error():
        from model.data import find_recordings

        folders = find_recordings.recordings(tables)
        refuse_changed(models)
        recordings = judge(folders, strict, output, names)
        summaries = _score_stored(models, folders, share, across_clocks, across_kernels)
    for name in dict.fromkeys(name for scores in summaries for name in scores["also_learned_from"]):
        why = f"a model was trained on {name}, so its scores there are too good"
        output.view().show(
            "warn", f"{why}: score it on other recordings, or on the part left for testing, --share 0.15"
        )
    show_scores(summaries, recordings, output)
    exit_unless_sound(recordings)


@handled
def predict(
    path: Annotated[
        Path,
        typer.Argument(
            callback=run_or_path,
            help="A recording, a text of it, a folder that `harness trace convert` wrote, or one trial of a run.",
        ),
    ],
    model: Annotated[Path, typer.Option("--model", exists=True, help="The folder of a stored model.")],
    events: Annotated[int, typer.Option(min=1, help="Number of switches at the end of each CPU's recording.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="Number of likely tasks to print.")] = 3,
    across_clocks: AcrossClocks = False,
    across_kernels: AcrossKernels = False,
    strict: StrictTables = False,
    as_json: JsonFlag = False,
) -> None:
    """Print what a stored model predicts at the end of a recording, beside what the kernel did.

    Exits with 1 if a recording is not whole.
    """
    from harness.terminal import score_tables

    output = Output(as_json)
    with tables_of([path], output) as (tables, names), named_as_given(names), as_model_error():
        from model.data import find_recordings
        from model.predict import caveat, forecast

        folders = find_recordings.recordings(tables)
        refuse_changed([model])
        recordings = judge(folders, strict, output, names)
        warning = caveat(model, folders)
        across = {"across_clocks": across_clocks, "across_kernels": across_kernels}
        forecasts = [event for one in recordings for event in forecast(model, one.folder, events, top, **across)]
    if warning:
        output.view().show("warn", warning)
    qualities = [one.to_dict() for one in recordings]
    output.data({"predictions": [asdict(event) for event in forecasts], "caveat": warning, "recordings": qualities})
    output.show(score_tables.forecasts(forecasts))
    exit_unless_sound(recordings)


def _reject_ignored(models: list[Path] | None, training_options: list[Any], share: float) -> None:
    """Reject options that --model ignores, and --share without --model."""
    if models and any(training_options):
        raise UsageError(
            "--model scores a stored model, which has its own predictor, mark, seed and settings",
            expected="no --predictor, --inputs, --mark, --seed, --set, --split or --test with it",
        )
    if not models and share != 1.0:
        raise UsageError("--share applies to a stored model", expected="--model with it")


def _score_stored(
    models: list[Path], recordings: list[Path], share: float, across_clocks: bool, across_kernels: bool
) -> list[dict[str, Any]]:
    """Score stored models; those that differ in nothing but the seed become one summary."""
    from model.predict import score
    from model.scoring import seeds

    distinct = {model.resolve(): model for model in models}.values()  # a model named twice is no second seed
    across = {"across_clocks": across_clocks, "across_kernels": across_kernels}
    scored = [score(model, recordings, share, **across) for model in distinct]
    return seeds.summarise([scores for scores, _ in scored], [outcomes for _, outcomes in scored])


def _request(
    paths: list[Path],
    predictors: list[str] | None,
    inputs: str | None,
    mark: str,
    seeds: list[int] | None,
    settings: list[str] | None,
    split: str,
    test: list[Path] | None,
    across: tuple[bool, bool],
    strict: bool,
) -> TrainRequest:
    from model.data.marks import KINDS as MARKS
    from model.scoring.folds import BY

    if split != TEMPORAL and (split not in BY or test):
        expected = f"one of {', '.join((TEMPORAL, *BY))}, and no --test with a split into groups"
        raise UsageError(f"--split {split}", expected=expected)
    if mark not in MARKS:
        raise UsageError(f"unknown mark {mark!r}", where="--mark", expected=" or ".join(MARKS))
    for option, given in zip(("--across-clocks", "--across-kernels"), across, strict=True):
        if given and not test:
            raise UsageError(
                f"{option} applies to recordings that are tested on as a whole", expected="--test or --model with it"
            )
    chosen = _choose_predictors(predictors, inputs)
    distinct = list(dict.fromkeys(seeds or [0]))  # a seed given twice would be trained twice in one folder
    params = parse_settings(settings or [], chosen)
    return TrainRequest(paths, chosen, mark, distinct, params, split, test or (), *across, strict=strict)


@contextmanager
def _with_tables(request: TrainRequest, output: Output) -> Iterator[TrainRequest]:
    """Yield the request with the tables of the recordings that are named by themselves."""
    with tables_of(request.paths, output) as (paths, names), tables_of(request.test, output) as (test, more):
        yield replace(request, paths=paths, test=test, names={**names, **more})


def _choose_predictors(predictors: list[str] | None, inputs: str | None) -> list[str]:
    from model.errors import MissingLibraryError, SettingError
    from model.predictor import INPUTS
    from model.predictors import KINDS, REPRODUCTIONS, find, installed, require_installed, require_known

    if inputs is not None and inputs not in INPUTS:
        raise UsageError(f"unknown inputs {inputs!r}", where="--inputs", expected=", ".join(INPUTS))
    for name in predictors or []:
        try:
            require_known(name)
            require_installed(name)
        except SettingError as error:
            raise UsageError(str(error), where=f"--predictor {name}") from None
        except MissingLibraryError as error:
            raise MissingExtraError(error.extra, error.package, where=f"--predictor {name}") from None
    with as_model_error():
        every = [name for name in KINDS if installed(name) and name not in REPRODUCTIONS]
        wanted = list(dict.fromkeys(predictors or [])) or (every if inputs else ["most_frequent", "markov"])
        chosen = [name for name in wanted if inputs is None or find(name).inputs == inputs]
    if not chosen:
        raise UsageError(f"none of {', '.join(wanted)} has the inputs {inputs}", where="--inputs")
    return chosen
