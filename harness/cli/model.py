"""`harness model`: what is done with a stored model besides scoring it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.errors import ModelError, UsageError

if TYPE_CHECKING:
    from harness.report.groups import Group
    from harness.report.paired import Paired

app = typer.Typer(help="Stored models: export them to C, compare them on the same events.", no_args_is_help=True)
FORMATS = ("c",)


@app.command()
@handled
def export(
    model: Annotated[Path, typer.Argument(help="The folder of a stored model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the C file and its header.")],
    kind: Annotated[str, typer.Option("--to", help="c.")] = "c",
    quantize: Annotated[str, typer.Option(help="Weights of a network: float or int8.")] = "float",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a stored table, tree, GRU or LSTM as one C file that depends on nothing."""
    if kind not in FORMATS:
        raise UsageError(f"unknown format {kind!r}", where="--to", expected=", ".join(FORMATS))
    from model import export_c
    from model.errors import PredictionError

    try:
        written = export_c.export(model, out, quantize=quantize)
    except PredictionError as error:
        raise ModelError(str(error)) from error
    output = Output(as_json, quiet)
    output.data({"paths": [str(path) for path in written]})
    output.show("\n".join(str(path) for path in written))


@app.command()
@handled
def compare(
    models: Annotated[Path, typer.Argument(help="A run, or the folder that `harness train -o` wrote.")],
    predictor: Annotated[str | None, typer.Argument(help="The predictor in question.")] = None,
    baseline: Annotated[str | None, typer.Argument(help="The one it is measured against.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare two predictors on the very same events: a paired block bootstrap, per seed and over all seeds.

    Without names, the best of each kind against the best table that sees no more than it does, as the report does. The
    interval of a difference is narrower than those of the two scores, since what is common to both cancels.
    """
    if (predictor is None) != (baseline is None):
        raise UsageError("a predictor and no baseline", expected="both names, or neither: MODELS lstm slice_markov")
    if predictor is not None and predictor == baseline:
        raise UsageError(f"{predictor} against itself", expected="the names of two predictors")
    from harness.terminal import tables

    output = Output(as_json, quiet)
    found = _pairs(models, _groups(models, output), predictor, baseline)
    if all(pair.missing for pair in found):
        raise ModelError(f"nothing could be compared: {found[0].missing}")
    output.data([_told(pair) for pair in found])
    output.show(*tables.compared(found))


def _pairs(models: Path, found: list[Group], predictor: str | None, baseline: str | None) -> list[Paired]:
    """What is to be compared. ModelError where there are no such models."""
    from harness.report.baseline_comparison import contests
    from harness.report.paired import paired

    names = list(dict.fromkeys(group.predictor for group in found))
    expected = f"two of: {', '.join(names)}" if len(names) > 1 else f"another predictor beside {names[0]}"
    if predictor is None:
        made = [contest.paired for contest in contests(found) if contest.paired]
        if not made:
            raise ModelError("no network or tree beside a table to measure it by", where=str(models), expected=expected)
        return made
    pairs = [
        paired(one, other, one.hard)
        for one in found
        for other in found
        if (one.predictor, other.predictor) == (predictor, baseline) and (one.mark, one.arm) == (other.mark, other.arm)
    ]
    if not pairs:
        raise ModelError(
            f"no {predictor} and {baseline} scored on the same recordings", where=str(models), expected=expected
        )
    return pairs


def _groups(models: Path, output: Output) -> list[Group]:
    """The seeds of each predictor under a run or a folder of models; a word where some are not to be had."""
    from harness.report.groups import groups
    from harness.report.scores import read_models

    found, problems = read_models(models / "models" if (models / "manifest.json").is_file() else models)
    if not found:
        expected = problems[0] if len(problems) == 1 else "a run, or the folder that `harness train -o` wrote"
        raise ModelError("no scored models here", where=str(models), expected=expected)
    for problem in problems:
        output.view().say("warn", f"left out: {problem}")
    return groups(found, {})


def _told(pair: Paired) -> dict[str, Any]:
    """One comparison as plain values: `parts.contested.top1.together.difference_ci` and the like."""
    parts: dict[str, dict[str, Any]] = {part: {} for part in pair.parts}
    for one in pair.found:
        parts[one.part][one.score] = one.told()
    sides = {name: side.predictor for name, side in (("predictor", pair.best), ("baseline", pair.baseline))}
    inputs = {"regime": pair.best.inputs, "baseline_regime": pair.baseline.inputs}
    first, seeds = pair.best.seeds[0], [one.seed for one in pair.best.seeds]
    about = {"mark": first.mark, "trials": first.trials, "tested_on": first.fold or None, "seeds": seeds}
    return {**sides, **inputs, **about, "missing": pair.missing or None, "parts": parts}
