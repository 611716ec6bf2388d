"""`harness model`: show a stored model, export it to C, and compare stored models on the same events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.api.model_errors import as_model_error
from harness.cli import model_show
from harness.cli.judgement import refuse_changed
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.plain_values import CommandTree
from harness.cli.run_or_path import run_or_path
from harness.errors import ModelError, UsageError

if TYPE_CHECKING:
    from harness.report.baseline_comparison import BaselineComparison, PairedComparison
    from harness.report.model_scores import ModelScores
    from harness.report.seed_groups import SeedGroup

app = CommandTree(
    help="Stored models: show them, export them to C, compare them on the same events.", no_args_is_help=True
)
FORMATS = ("c",)

app.command("show")(model_show.show)


@app.command()
@handled
def export(
    model: Annotated[Path, typer.Argument(exists=True, help="The folder of a stored model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the C file and its header.")],
    kind: Annotated[str, typer.Option("--to", help="The format: c.")] = "c",
    quantize: Annotated[str, typer.Option(help="The weights of a network: float or int8.")] = "float",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a stored table, tree, GRU or LSTM as one C file without dependencies."""
    if kind not in FORMATS:
        raise UsageError(f"unknown format {kind!r}", where="--to", expected=", ".join(FORMATS))
    from model import export_c

    refuse_changed([model])
    with as_model_error():
        written = export_c.export(model, out, quantize=quantize)
    output = Output(as_json, quiet)
    output.data({"paths": [str(path) for path in written]})
    output.show(*map(str, written))


@app.command()
@handled
def compare(
    models: Annotated[
        Path, typer.Argument(callback=run_or_path, help="A run, or the folder that `harness train -o` wrote.")
    ],
    predictor: Annotated[str | None, typer.Argument(help="The predictor to compare.")] = None,
    baseline: Annotated[str | None, typer.Argument(help="The predictor to compare it with.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare two predictors on the same events, per seed and over all seeds.

    Without names, compare the best predictor of each kind with the best baseline with the same or fewer inputs, as the
    report does. The interval of the difference is narrower than those of the two scores, because what both have in
    common cancels.
    """
    if (predictor is None) != (baseline is None):
        raise UsageError("a baseline is missing", expected="both names, or neither: MODELS lstm slice_markov")
    if predictor is not None and predictor == baseline:
        raise UsageError(f"{predictor} cannot be compared with itself", expected="the names of two predictors")
    from harness.terminal import score_tables

    output = Output(as_json, quiet)
    pairs = _pairs(models, _groups(models, output), predictor, baseline)
    if all(pair.missing for pair in pairs):
        raise ModelError(f"nothing could be compared: {pairs[0].missing}")
    output.data({"comparisons": [_plain(pair) for pair in pairs]})
    output.show(*score_tables.comparisons(pairs))


def _pairs(
    models: Path, groups: list[SeedGroup], predictor: str | None, baseline: str | None
) -> list[PairedComparison]:
    """Compare the two named predictors, or without names each best one with its baseline. Raises ModelError."""
    from harness.report.baseline_comparison import compare_pair, compare_to_baselines

    names = list(dict.fromkeys(group.predictor for group in groups))
    expected = f"two of: {', '.join(names)}" if len(names) > 1 else f"a second predictor; only {names[0]} is stored"
    if predictor is None:
        compared = compare_to_baselines(groups)
        pairs = [comparison.paired for comparison in compared if comparison.paired]
        if not pairs:
            raise _no_pairs(models, compared, groups, expected)
        return pairs
    pairs = [
        compare_pair(first, second, first.judged_split)
        for first in groups
        for second in groups
        if (first.predictor, second.predictor) == (predictor, baseline)
        and (first.mark, first.arm) == (second.mark, second.arm)
    ]
    if not pairs:
        why = _of_other_clocks(groups, predictor, baseline)
        raise ModelError(
            f"no {predictor} and {baseline} scored on the same recordings{why}",
            where=str(models),
            expected=expected,
        )
    return pairs


def _no_pairs(models: Path, compared: list[BaselineComparison], groups: list[SeedGroup], expected: str) -> ModelError:
    """Return the error of models without such a pair: nothing beats the best baseline, or nothing is to compare."""
    for best in (each.best for each in compared if each.outcome == "baseline"):
        kind = best.mark, best.arm, best.inputs
        other = next(each for each in groups if not each.baseline and (each.mark, each.arm, each.inputs) == kind)
        hint = f"name both: harness model compare {models} {other.predictor} {best.predictor}"
        what = f"nothing with the inputs {best.inputs} beats the baseline {best.predictor}"
        return ModelError(what, where=str(models), expected=expected, hint=hint)
    return ModelError("no predictor with a baseline to compare it with", where=str(models), expected=expected)


def _of_other_clocks(groups: list[SeedGroup], *predictors: str | None) -> str:
    """Name the clocks of the predictors, if these differ."""
    clocks = {group.clock: group.predictor for group in groups if group.predictor in predictors}
    named = [f"the clock of {name} is {clock.text}" for clock, name in clocks.items()]
    return f": {', '.join(named)}; scores of different clocks are not compared" if len(named) > 1 else ""


def _groups(models: Path, output: Output) -> list[SeedGroup]:
    """Read the models of a run or of a folder, grouped by predictor; warn of each that cannot be read."""
    from harness.report.seed_groups import group_seeds

    scores, problems = _read_models(models, output)
    if not scores:
        if problems:
            raise ModelError(f"no model here can be read: {problems[0]}", where=str(models))
        expected = "a run, or the folder that `harness train -o` wrote"
        raise UsageError("no scored models here", where=str(models), expected=expected)
    for problem in problems:
        output.view().show("warn", f"left out: {problem}")
    return group_seeds(scores, {})


def _read_models(models: Path, output: Output) -> tuple[list[ModelScores], list[str]]:
    """Read the models of a folder, or of a run; those with a file that is not as the run wrote it are left out."""
    from harness.report.model_scores import read_models
    from harness.store import RunFolder
    from harness.store.integrity import MODELS

    if not (models / "manifest.json").is_file():
        return read_models(models)
    integrity = RunFolder.open(models).check_files(MODELS)
    for sentence in integrity.sentences:
        output.view().show("warn", sentence)
    return read_models(models / "models", integrity.unbelieved_models)


def _plain(pair: PairedComparison) -> dict[str, Any]:
    """Return one comparison as plain values: `parts.contested.top1.together.difference_ci` and so on."""
    parts: dict[str, dict[str, Any]] = {part: {} for part in pair.parts}
    for comparison in pair.comparisons:
        parts[comparison.part][comparison.score] = comparison.as_dict()
    sides = {name: side.predictor for name, side in (("predictor", pair.best), ("baseline", pair.baseline))}
    inputs = {"regime": pair.best.inputs, "baseline_regime": pair.baseline.inputs}
    first, seeds = pair.best.seeds[0], [seed.seed for seed in pair.best.seeds]
    test = {"mark": first.mark, "trials": first.trials, "tested_on": first.fold or None, "seeds": seeds}
    return {**sides, **inputs, **test, "missing": pair.missing or None, "parts": parts}
