"""One run, boxes, loads and checks as tables for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from harness.counted import counted
from harness.errors import StoreError
from harness.load_results import results
from harness.recorded_clock import RecordedClock
from harness.terminal.block_lines import plan_lines, run_lines
from harness.terminal.line import line, message
from harness.terminal.load_columns import load_columns
from harness.terminal.load_tables import in_yaml
from harness.terminal.plain_table import cell, plain_table
from harness.terminal.progress import spell_seconds
from harness.visible import visible, visible_lines

if TYPE_CHECKING:
    from harness.boxes import CachedBox, Recipe
    from harness.doctor import HostCheck
    from harness.plan import Trial
    from harness.spec import Experiment, MachineSpec
    from harness.store import FileProblem, Integrity, RunFolder
    from harness.store.run_progress import RunProgress

# By whether a box is current; None if its recipe or its lock is wrong, which is said below the table.
CACHED = {True: "yes", False: "yes, but of an older recipe", None: "yes; see below"}
MODELS = ("model:", "set-aside:")  # the steps of models; the second are of an experiment before it was changed
STATES = {"done": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def plan_tables(
    experiment: Experiment, trials: Sequence[Trial], blocks: Mapping[str, Any] | None = None
) -> list[RenderableType]:
    """Show what `harness run` would do, trial by trial; `blocks` is that of the manifest of a run that goes on."""
    from harness.plan import FIRST_MACHINE_S, describe, estimate_s, untraced

    rows, bare = describe(trials), untraced(trials)
    settings = ["~kernel settings"] if any(row.kernel_settings for row in rows) else []
    table = plain_table("trial", "box", "~load", *settings, ">warm-up s", ">record s", ">about s")
    for row in rows:
        seconds = (f"{row.warmup_s:g}", f"{row.record_s:g}", f"{row.estimate_s:.0f}")
        table.add_row(row.name, row.box, row.load, *([row.kernel_settings or "-"] if settings else []), *seconds)
    model, machine = experiment.model, experiment.machine
    seeds = ", ".join(map(str, model.seeds))
    models = f"{', '.join(model.predictors) or 'none'}; marks: {model.mark}; seeds: {seeds}"
    fallback = f", or else {machine.fallback}" if machine.fallback else ", no fallback"
    clock = RecordedClock.of({"clock": machine.clock, "cpu_speed": machine.cpu_speed})
    wanted_clock = f"; clock: {clock.short}" if machine.clock else ""
    is_open = experiment.trials.blocks == "auto" and not (blocks and blocks["ended_by"])
    takes = spell_seconds(estimate_s(trials)) + (" or longer" if is_open else "")
    return [
        line((experiment.name, "bold"), f"  {experiment.question}"),
        line(f"machine: {machine.box}{fallback}; {machine.cpus} CPU, {machine.memory_mb} MB{wanted_clock}"),
        *_kernel(machine),
        *plan_lines(experiment, blocks),
        table,
        line(f"predictors: {models}"),
        *([line(f"recorded without a tracer, so without models: {', '.join(bare)}")] if bare else []),
        f"recording takes about {takes}, and {FIRST_MACHINE_S / 60:.0f} min more if no "
        "earlier run kept the machine; nothing was touched",
    ]


def _kernel(machine: MachineSpec) -> list[RenderableType]:
    """Show which kernel is wanted; nothing where it is the box's own."""
    return [line(f"kernel: {machine.kernel}")] if machine.kernel else []


def run_tables(folder: RunFolder, integrity: Integrity | None = None) -> list[RenderableType]:
    """Show one run: state, files that are not as written, machine, verdicts, scores, costs."""
    from harness.report import score_rows
    from harness.store import label as labels
    from harness.store import run_progress, spec_changes
    from harness.store.integrity import SHOWN  # importing the store takes time, and other tables need none
    from harness.terminal.score_tables import run_scores

    integrity = integrity or folder.check_files(SHOWN)
    manifest = folder.manifest
    scores = run_scores(score_rows.read(folder, integrity))
    label = f"  {text}" if (text := labels.read(folder.path)) else ""
    parts: list[RenderableType] = [line(f"{folder.path.name}: ", (folder.state, STATES[folder.state]), label)]
    if progress := run_progress.of(folder):
        parts.append(progress_line(progress))
    parts += [message(f"! {sentence}", "red") for sentence in integrity.sentences]
    if integrity.unlisted:
        parts.append(message(f"! no finished step wrote {', '.join(integrity.unlisted)}", "yellow"))
    parts += [message(manifest["error"], "red")] if manifest.get("error") else []
    box = manifest.get("box") or {}
    if reason := box.get("fallback_reason"):
        names = f"{visible(box['name'])}, not on {visible(box.get('asked'))}"
        parts.append(message(f"! ran on the fallback {names}: {reason}", "yellow"))
    if repeats := manifest.get("repeats"):
        conclusion = manifest["steps"].get("repeat", {}).get("detail", {}).get("conclusion", "not compared yet")
        parts.append(line(f"repeats {repeats['run']}: {conclusion}"))
    parts += run_lines(manifest, len(manifest.get("arms", {})))
    parts += [line(f"models changed {change}") for change in spec_changes.in_words(manifest)]
    if aside := steps_of(manifest, "set-aside"):
        parts.append(line(f"set aside in models.set-aside, of an earlier experiment: {', '.join(sorted(aside))}"))
    parts += [
        *_machines(manifest),
        _trials(manifest),
        *_arms(manifest),
        *_odd_trials(folder, integrity),
        scores,
        _costs(manifest["steps"]),
    ]
    page = folder.path / "report" / "index.html"
    return [*parts, line(f"report: {page}" if page.is_file() else "no report yet: `harness report` writes it")]


def host_share(share: float | None) -> str:
    """Format the share of the recorded time in which the guest's CPU waited for a CPU of the host."""
    return "not measured" if share is None else f"{share:.1%}"


def _machines(manifest: Mapping[str, Any]) -> list[RenderableType]:
    """Show the machine of each arm if they differ, and where kernels that are not the boxes' own came from."""
    rows = {}
    sources: dict[str, None] = {}
    for arm, recorded_on in manifest.get("arms", {}).items():
        machine, box = recorded_on["machine"], recorded_on["box"]
        facts = (machine.get(key) for key in ("kernel", "accelerator", "cpus", "memory_mb"))
        clock = RecordedClock.of(machine).short
        rows[arm] = (box["name"], *("" if fact is None else str(fact) for fact in facts), clock)
        if source := box.get("kernel_source"):
            sources[f"kernel {visible(machine.get('kernel'))}: {visible(source)}"] = None
    lines: list[RenderableType] = [*map(line, sources)]
    if len(set(rows.values())) < 2:
        return lines
    table = plain_table("arm", "box", "kernel", "accelerator", ">CPUs", ">MB", "clock")
    for arm, row in sorted(rows.items()):
        table.add_row(arm, *row)
    return [table, *lines]


def problems_table(folder: RunFolder, files: Sequence[FileProblem]) -> RenderableType:
    """Show the files that `harness verify` found changed, missing or extra."""
    if not files:
        unfinished = f"{folder.state}; " if folder.state != "done" else ""
        return line(f"{folder.path.name}: {unfinished}every file is as recorded")
    table = plain_table("file", "~problem")
    for problem in files:
        table.add_row(problem.path, f"{problem.kind}: {problem.detail}")
    return table


def cleaned_lines(cleaned: Sequence[str]) -> list[RenderableType]:
    """Say how many tables `harness verify` did not miss, because they can be made again."""
    return [line(f"{counted(len(cleaned), 'table')} cleaned; made again when needed")] if cleaned else []


def boxes_table(recipes: Sequence[Recipe], cached: Sequence[CachedBox]) -> RenderableType:
    """Show the recipes, and which of them are cached with their own kernel."""
    own = [built for built in cached if not built.box.kernel_source]
    by_name = {built.box.name: built for built in sorted(own, key=lambda built: built.current or False)}
    table = plain_table("box", "suite", "kernel package", "booted in tests", "~cached", ">MB", "kernel inside")
    for recipe in recipes:
        built = by_name.get(recipe.name)
        state = "no" if built is None else CACHED[built.current]
        state += ", locked" if built and built.box.lock else ""
        size, kernel = (f"{built.size_mb:.0f}", built.box.kernel) if built else ("", "")
        tested = "yes" if recipe.booted_in_tests else "no"
        table.add_row(recipe.name, recipe.suite, recipe.kernel.package, tested, state, size, kernel)
    return table


def predictor_tables(kinds: Mapping[str, Mapping[str, Any]]) -> list[RenderableType]:
    """Show predictors, each with its meaning, its inputs, the extra that it needs and its settings."""
    shown: list[RenderableType] = []
    for kind, about in kinds.items():
        needs = f"; needs the extra {about['extra']}" if about["extra"] else ""
        shown += [line((kind, "bold"), f"  {about['meaning']}"), f"inputs: {about['inputs']}{needs}"]
        table = plain_table("setting", "default", "~meaning")
        for name, field in about["settings"].items():
            table.add_row(f"{kind}.{name}", in_yaml(field["default"]), field.get("description", ""))
        shown += [table if table.row_count else "no settings", ""]
    return shown[:-1]


def checks_table(host_checks: Iterable[HostCheck]) -> RenderableType:
    """Show the result of `harness doctor`."""
    table = plain_table("", "check", "~found", "~what to do")
    for check in host_checks:
        mark = Text("✓", "green") if check.ok else Text("!", "yellow") if check.advice else Text("✗", "red")
        table.add_row(mark, check.name, check.detail, "" if check.ok else check.hint or "")
    return table


def _trials(manifest: Mapping[str, Any]) -> RenderableType:
    steps = sorted(steps_of(manifest, "trial").items())
    columns = load_columns([results(step["detail"]) for _, step in steps])
    numbers = (">switches", ">contested", ">idle", ">tracer", *(heading for heading, _ in columns), ">s")
    table = plain_table("trial", "~verdict", *numbers, "clock", ">host share")
    for index, (name, step) in enumerate(steps):
        detail, measured = step["detail"], [cells[index] for _, cells in columns]
        idle = "guest_idle_share" if detail.get("tracer") == "none" else "idle_share"
        shares = [cell(detail, key, ".1%") for key in ("contested_share", idle, "tracer_share")]
        usable, why = step["state"] == "done", visible_lines(step["error"] or step["state"])
        late = ", recorded after a later block began" if detail.get("late") is True else ""
        verdict = Text(f"usable{late}", "green") if usable else Text(why, "red")
        seconds = f"{step['seconds']:.0f}" if step["seconds"] else ""
        recorded = "metrics" in detail or "switches" in detail
        clock = _trial_clock(manifest, detail) if recorded else ""
        waited = host_share(detail.get("host_share")) if recorded else ""
        switches = "not traced" if detail.get("tracer") == "none" else f"{detail.get('switches') or 0:,}"
        row = (switches, *shares, *measured, seconds, clock, waited)
        table.add_row(name, verdict, *row)
    return table


def _arms(manifest: Mapping[str, Any]) -> list[RenderableType]:
    """Show the mean of each arm's usable trials, and the smallest and largest in brackets, if there are several."""
    from harness.store import finished_steps

    usable = finished_steps.usable_trials(manifest)
    arms = {arm: [step["detail"] for step in steps.values()] for arm, steps in usable.items()}
    columns = load_columns([results(*trials) for trials in arms.values()])
    if not columns or (len(arms) == 1 and sum(map(len, arms.values())) == 1):
        return []
    table = plain_table("arm", ">trials", *(heading for heading, _ in columns), ">switches", ">contested")
    for index, (arm, trials) in enumerate(arms.items()):
        measured = [cells[index] for _, cells in columns]
        table.add_row(
            arm, str(len(trials)), *measured, _mean(trials, "switches", ",.0f"), _mean(trials, "contested_share", ".1%")
        )
    return [table]


def _mean(trials: Sequence[Mapping[str, Any]], name: str, form: str) -> str:
    known = [trial[name] for trial in trials if trial.get(name) is not None]
    return format(fmean(known), form) if known else ""


def _odd_trials(folder: RunFolder, integrity: Integrity) -> list[RenderableType]:
    """Show the trials that differ from the others of their arm by more than noise, as the report does."""
    from harness.report.trial_noise import odd_lines
    from harness.store.trial_record import read_trial  # importing the store takes time, and other tables need none

    records, damaged = [], []
    for name, step in sorted(steps_of(folder.manifest, "trial").items()):
        if step["state"] != "done" or not integrity.believed(f"trials/{name}/trial.json"):
            continue
        try:
            records.append(read_trial(folder.trial_dir(name)))
        except StoreError as error:
            damaged.append(damaged_line(error))
    return [*damaged, *(message(f"! {text}", "yellow") for texts in odd_lines(records).values() for text in texts)]


def progress_line(progress: RunProgress) -> Text:
    """Say where a run under way is, since when, and which process carries it out."""
    seconds = progress.seconds()
    since = "" if seconds is None else f", for {spell_seconds(seconds)}"
    process = f"; process {progress.process}" if progress.process else ""
    return line((f"under way: {progress.text}{since}{process}", "cyan"))


def damaged_line(error: StoreError) -> Text:
    """Say that a part of a run folder cannot be read."""
    return Text.assemble(("damaged: ", "red"), message(str(error)), no_wrap=True, overflow="ignore")


def _trial_clock(manifest: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """Return the clock of a trial: that of its arm's machine, if this is known."""
    arm = manifest.get("arms", {}).get(detail.get("arm"))
    machine = arm["machine"] if arm else manifest.get("machine") or {}
    return RecordedClock.of({**machine, **({"clock": detail["clock"]} if detail.get("clock") else {})}).short


def _costs(steps: Mapping[str, Any]) -> RenderableType:
    table = plain_table("step", "state", ">took")
    for name, step in steps.items():
        if not name.startswith((*MODELS, "attempt:")):
            took = spell_seconds(step["seconds"]) if step["seconds"] is not None else ""
            table.add_row(name, state_text(step["state"]), took)
    return table


def steps_of(manifest: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the steps of one kind, such as trial, by their name without the kind."""
    steps = manifest["steps"].items()
    return {name.split(":", 1)[1]: step for name, step in steps if name.startswith(f"{kind}:")}


def state_text(state: str) -> Text:
    return Text(visible(state), STATES.get(state, "white"))
