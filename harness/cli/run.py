"""`harness run`: carries out one experiment, from building the machine to the report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion, experiments
from harness.cli.judgement import warn_of_edits
from harness.cli.output import JsonFlag, Output, QuietFlag, handled, note
from harness.cli.track_option import TrackOption, targets
from harness.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from harness.campaign.loop import Outcome
    from harness.spec import Experiment
    from harness.store import RunFolder
    from harness.tracking import Target

RunsDir = Annotated[Path, typer.Option("--runs", envvar="HARNESS_RUNS", help="The folder that holds run folders.")]


@handled
def run(
    experiment: Annotated[
        str | None,
        typer.Argument(
            help="An experiment file, `-` for stdin, or the name of one that comes with harness; with --resume, a run.",
            autocompletion=completion.experiments_or_runs,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change one value, such as load.concurrency=50; may be given several times.",
        ),
    ] = None,
    load: Annotated[
        str | None,
        typer.Option("--load", help="Use this load, as `harness loads` lists it.", autocompletion=completion.loads),
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine", help="Use this box, without a fallback (`harness box ls`).", autocompletion=completion.boxes
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished run: the one named, or the latest.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the machine up; `harness down` removes it.")] = False,
    provision: Annotated[
        bool,
        typer.Option(
            "--provision", help="Install the packages again, even if an earlier run kept a machine that has them."
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that train; default: one more than CPUs.")
    ] = None,
    track: TrackOption = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Bring up the machine, record every trial, train and score every predictor, write the report.

    The first run with a box installs the packages and keeps that machine; later runs boot it at once.

    After Ctrl-C, a crash or a dead machine, --resume continues the run: finished steps are not repeated. With
    --set model.KEY=VALUE it goes on with other models, and keeps what was recorded.
    """
    output = Output(as_json, quiet)
    if resume:
        changes = _changes_of_models(settings, load, machine)
        loaded, folder = _unfinished(experiment, runs_dir, changes)
    else:
        changes, loaded, folder = {}, _load(experiment, overrides(settings), load, machine), None
    trackers = targets(track, runs_dir, folder)
    if dry_run:
        return show_plan(loaded, output, folder)
    folder = folder or _new_folder(runs_dir, loaded)
    if changes:
        _change_models(folder, loaded, output)
    _carry_out(loaded, folder, output, keep, workers, provision, trackers)


def _load(name: str | None, overrides: Mapping[str, str], load: str | None, machine: str | None) -> Experiment:
    from harness import boxes

    if name is None:
        raise UsageError("no experiment is named", expected="a file", hint="harness run experiments/nginx_ab.yaml")
    experiment = experiments.load(name, overrides, load_kind=load, box=machine, kernel_of=boxes.kernel_version)
    _check_recorded_files(experiment)
    _check_boxes(experiment)
    return experiment


def _check_recorded_files(experiment: Experiment) -> None:
    """Raise StoreError if the experiment file of a run names a file that has changed since that run."""
    from harness import spec
    from harness.store import experiment_file, input_files, manifest

    source = experiment.source
    if source and source.name == experiment_file.NAME and (source.parent / manifest.NAME).is_file():
        named = {one.text for one in spec.named_files(experiment)}
        input_files.require_unchanged(source.parent, manifest.read(source.parent), named)


def _check_boxes(experiment: Experiment) -> None:
    """Raise UsageError for a box without a recipe, SpecError for a wrong lock of one, before a run folder is made."""
    from harness import boxes, plan

    for arm in plan.arms(experiment):
        machine = arm.experiment.machine
        for box in filter(None, (machine.box, machine.fallback)):
            if "/" not in box:  # a name with a slash is a ready-made box
                boxes.lock_file.beside(boxes.recipe(box))


def overrides(settings: list[str] | None) -> dict[str, str]:
    """Parse the values of --set. Raises UsageError."""
    pairs = [setting.partition("=") for setting in settings or []]
    for path, equals, _ in pairs:
        if not equals:
            raise UsageError(f"--set {path} has no value", expected="PATH=VALUE, such as load.concurrency=50")
    return {path.strip(): value for path, _, value in pairs}


def _changes_of_models(settings: list[str] | None, load: str | None, machine: str | None) -> dict[str, str]:
    """Parse the values of --set, which may change what is trained, but not what was recorded."""
    changes = overrides(settings)
    if load or machine or not all(path.startswith("model.") for path in changes):
        raise UsageError(
            "--resume may change only the models of a run, not how it was recorded",
            expected="no --load or --machine with it, and --set only of model.KEY, such as model.params.gru.hidden=32",
            hint="start a new run for another experiment",
        )
    return changes


def _unfinished(name: str | None, runs_dir: Path, changes: Mapping[str, str]) -> tuple[Experiment, RunFolder]:
    from harness import boxes, spec, store
    from harness.store import experiment_file

    if name is None or name == experiments.STDIN or name.endswith((".yaml", ".yml")):
        experiment = experiments.load(name) if name else None
        folder = _latest_unfinished(runs_dir, experiment.name if experiment else None)
        if experiment and not experiment_file.is_of(folder.manifest, experiment.text):
            note(f"warning: {name} has changed; {folder.path.name} continues with the old version")
    else:
        folder = store.RunFolder.open(store.resolve(runs_dir, name))
    warn_of_edits(folder)
    experiment = folder.experiment
    return spec.changed(experiment, changes, kernel_of=boxes.kernel_version) if changes else experiment, folder


def _change_models(folder: RunFolder, experiment: Experiment, output: Output) -> None:
    """Write down that a resumed run goes on with other models, and set aside those that it no longer has."""
    from harness.campaign import spec_change

    for name in spec_change.make(folder, experiment, ["harness", *sys.argv[1:]]):
        output.view().show("info", f"{name} is of the experiment before the change, and was set aside")


def _latest_unfinished(runs_dir: Path, experiment: str | None) -> RunFolder:
    from harness import store

    for folder in reversed(store.readable(runs_dir)[0]):
        if folder.state in ("interrupted", "failed") and experiment in (None, folder.manifest["spec"]["name"]):
            return folder
    what = f"no unfinished run of {experiment}" if experiment else "no unfinished run"
    raise UsageError(what, where=str(runs_dir), hint="`harness ls` lists the runs; name one to continue it anyway")


def _new_folder(runs_dir: Path, experiment: Experiment) -> RunFolder:
    from harness import store

    return store.RunFolder.create(runs_dir, experiment, command=["harness", *sys.argv[1:]])


def show_plan(experiment: Experiment, output: Output, folder: RunFolder | None = None) -> None:
    """Print what would be recorded, of the run in `folder` with the blocks that it has so far."""
    from harness import plan, spec
    from harness.store import block_record
    from harness.terminal import tables

    record = (folder and block_record.of(folder.manifest)) or block_record.new(experiment)
    trials = plan.trials(experiment, record["planned"])
    blocks = {**record, "seconds_each": plan.block_s(experiment), "boots": len(plan.by_boot(trials))}
    rows = [asdict(row) for row in plan.describe(trials)]
    output.data({"experiment": spec.to_dict(experiment), "blocks": blocks, "trials": rows})
    output.show(*tables.plan_tables(experiment, trials, record))


def _ended(folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """Return how a run ended; `harness show --json` has everything else."""
    paths = {"run": folder.path.name, "folder": folder.path, "report": outcome.report}
    failed = {"unusable_trials": outcome.unusable, "failed_models": outcome.failed_models}
    return {**paths, "state": folder.state, **failed}


def _carry_out(
    experiment: Experiment,
    folder: RunFolder,
    output: Output,
    keep: bool,
    workers: int | None,
    provision_anew: bool,
    trackers: list[Target],
) -> None:
    from harness.campaign.effects import Effects
    from harness.campaign.loop import Campaign
    from harness.store.finished_steps import usable_trials
    from harness.terminal import tables
    from harness.tracking import Tracking

    view = output.view(json_lines=True)
    view.show("info", f"run folder: {folder.path}")
    effects = Effects(track=Tracking(trackers, view).send) if trackers else Effects()
    outcome = Campaign(
        experiment, folder, view, keep=keep, workers=workers, provision_anew=provision_anew, effects=effects
    ).run()
    output.show(*tables.run_tables(folder))
    if len(usable_trials(folder.manifest)) > 1:  # arms that can be compared
        output.show(
            f"`harness compare {shlex.quote(str(folder.path))}` says how far its arms differ, and how sure that is"
        )
    output.data(_ended(folder, outcome))
    if outcome.failed_models and not outcome.unusable:
        again = f"harness run --resume {shlex.quote(str(folder.path))} --set model.params.PREDICTOR.SETTING=VALUE"
        view.show("info", f"the recordings are kept: `{again}` goes on with other models")
    if not outcome.ok:
        raise typer.Exit(EXIT_FAILED)
