"""`harness repeat`: records a run again on this host, or compares two runs that exist."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.judgement import warn_of_edits
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run import RunsDir, overrides, show_plan
from harness.errors import EXIT_FAILED, HarnessError, Interrupted, UsageError

if TYPE_CHECKING:
    from harness.comparison.repeat.repeated import RepeatComparison
    from harness.progress import View
    from harness.spec import Experiment
    from harness.store import RunFolder


@handled
def repeat(
    run: Annotated[
        str,
        typer.Argument(
            help="The folder of the run to repeat, or the beginning of its name.", autocompletion=completion.runs
        ),
    ],
    other: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="RUN",
            help="Record nothing: compare with this run that exists.",
            autocompletion=completion.runs,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Change one value, such as trials.repeat=6; may be given several times."
        ),
    ] = None,
    load: Annotated[
        str | None, typer.Option("--load", help="Use this load instead.", autocompletion=completion.loads)
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option("--machine", help="Use this box instead; it needs --any-box.", autocompletion=completion.boxes),
    ] = None,
    across_clocks: Annotated[
        bool, typer.Option("--across-clocks", help="Go on although the clocks of the two runs differ.")
    ] = False,
    any_box: Annotated[
        bool, typer.Option("--any-box", help="Go on although the box that this host makes differs from the run's.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, print the plan and change nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the machine up; `harness down` removes it.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that train; default: one more than CPUs.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Record a run's experiment again here, and say metric by metric whether the two runs are equal.

    The experiment is the one in the run's manifest, with the seeds, box, clock and accelerator that the run used.

    Exits with 1 if a metric differs or cannot be judged, or a trial or a model of the repetition failed; else with 0.

    One metric of the recordings and a few scores that cannot be judged are no failure where chance explains them:
    docs/repeat.md has the rule.
    """
    from harness import cleaned_tables, store
    from harness.comparison.repeat.repeated import compare_repeated

    output = Output(as_json, quiet)
    original = store.RunFolder.open(store.resolve(runs_dir, run))
    if other is not None:
        _refuse_recording_options([settings, load, machine, any_box, dry_run, keep, workers])
        second = store.RunFolder.open(store.resolve(runs_dir, other))
        with cleaned_tables.kept(original.path, output.view()), cleaned_tables.kept(second.path, output.view()):
            original, second = store.RunFolder.open(original.path), store.RunFolder.open(second.path)
            result = compare_repeated(original, second, across_clocks=across_clocks)
        return _show(result, output)
    warn_of_edits(original)
    experiment = _prepare(original, overrides(settings), load, machine, across_clocks, any_box)
    if dry_run:
        show_plan(experiment, output)
        return output.show(_summary(original, experiment))
    with cleaned_tables.kept(original.path, output.view()):
        original = store.RunFolder.open(original.path)
        folder, whole = _record(original, experiment, runs_dir, output.view(), keep, workers)
        result = _compare(original, folder, output, across_clocks)
    _show(result, output)
    if not whole:
        raise typer.Exit(EXIT_FAILED)


def _summary(original: RunFolder, experiment: Experiment) -> str:
    from harness.campaign import repetition

    return repetition.summary(original, experiment)


def _refuse_recording_options(options: list[object]) -> None:
    if any(options):
        raise UsageError(
            "--with compares two runs that exist and records nothing",
            expected="no --set, --load, --machine, --any-box, --dry-run, --keep or --workers with it",
        )


def _prepare(
    original: RunFolder,
    settings: dict[str, str],
    load: str | None,
    machine: str | None,
    across_clocks: bool,
    any_box: bool,
) -> Experiment:
    """Check everything that can be checked before anything starts."""
    from harness.campaign import repetition

    changes = repetition.Changes(settings, load, machine)
    experiment = repetition.experiment_of(original, changes)
    if not across_clocks:
        repetition.require_same_clock(original, experiment, changes)
    if not any_box:
        repetition.require_same_box(original, experiment)
    return experiment


def _record(
    original: RunFolder, experiment: Experiment, runs_dir: Path, view: View, keep: bool, workers: int | None
) -> tuple[RunFolder, bool]:
    """Record the run again; return its folder, and whether every trial is usable and every model was scored."""
    from harness.campaign import repetition
    from harness.campaign.loop import Campaign

    for row in repetition.box_differences(original, experiment):
        view.show("warn", f"another box: {row}")
    folder = repetition.create(runs_dir, original, experiment, ["harness", *sys.argv[1:]])
    view.show("info", f"run folder: {folder.path}")
    try:
        outcome = Campaign(experiment, folder, view, keep=keep, workers=workers).run()
    except (Interrupted, HarnessError):
        then = shlex.join(["harness", "repeat", str(original.path), "--with", str(folder.path)])
        view.show("info", f"once it is recorded, this compares the two: {then}")
        raise
    view.show("good" if outcome.ok else "warn", f"report: {outcome.report}")
    return folder, outcome.ok


def _compare(original: RunFolder, folder: RunFolder, output: Output, across_clocks: bool) -> RepeatComparison:
    from harness.campaign import repetition

    return repetition.compare_and_store(original, folder, output.view(), across_clocks=across_clocks)


def _show(result: RepeatComparison, output: Output) -> None:
    from harness.terminal.repeated_tables import repeated_tables

    output.data(result.to_dict())
    output.show(*repeated_tables(result))
    if not result.equal:
        raise typer.Exit(EXIT_FAILED)
