"""All runs as one table for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from harness.recorded_clock import RecordedClock
from harness.terminal.line import line
from harness.terminal.plain_table import plain_table
from harness.terminal.progress import spell_seconds
from harness.terminal.tables import MODELS, host_share, progress_line, state_text, steps_of

if TYPE_CHECKING:
    from harness.store import RunFolder
    from harness.store.run_progress import RunProgress

SHARED = ("load", "box", "clock", "host")  # a column of its own only where runs differ; else one line below the table


def runs_table(folders: Sequence[RunFolder], runs_dir: Path) -> list[RenderableType]:
    """Show all runs, oldest first, and where those under way are."""
    from harness.store import disk_size, run_progress

    if not folders:
        return [line(f"no runs in {runs_dir}; start one: harness run experiments/nginx_ab.yaml")]
    under_way = [run_progress.of(folder) for folder in folders]
    rows = [_row(folder, progress) for folder, progress in zip(folders, under_way, strict=True)]
    differing = [name for name in SHARED if len({row[name] for row in rows} - {None}) > 1]
    numbers = (">trials", ">models", "best", ">host share", ">took", ">size")
    table = plain_table("run", "state", *numbers, *differing)
    for row in rows:
        trials, models = f"{row['trials_done']}/{row['trials']}", f"{row['models_done']}/{row['models']}"
        share = host_share(row["host_share"]) if row["trials_done"] or row["host_share"] is not None else ""
        state = state_text(row["state"]).append(", edited", "red") if row["edited"] else state_text(row["state"])
        cost = spell_seconds(row["seconds"]), disk_size.spelt(row["bytes"])
        others = (row[name] or "" for name in differing)
        table.add_row(row["name"], state, trials, models, _best(row["scores"]), share, *cost, *others)
    known = {name: next((row[name] for row in rows if row[name]), None) for name in SHARED if name not in differing}
    same = "; ".join(f"{name}: {value}" for name, value in known.items() if value)
    labels = [line(f"{row['name']}: {row['label']}") for row in rows if row["label"]]
    named = ((row["name"], progress) for row, progress in zip(rows, under_way, strict=True) if progress)
    lines = [line(f"{name} ").append_text(progress_line(progress)) for name, progress in named]
    return [table, *([line((same, "dim"))] if same else []), *labels, *lines]


def run_row(folder: RunFolder) -> dict[str, Any]:
    """Summarise a run: its folder's name, state, how many of the planned trials and of the begun models are done.

    `edited`: its manifest was changed by another program.

    `clock` is `host` or, as `counted 125`, the instructions per microsecond, or several of these; None before the first
    trial. `host_share` is the largest of the trials' shares; None where none was measured. `progress` is None unless
    it is under way; `scores` are the rows of `report.score_rows`.
    """
    from harness.store import run_progress

    return _row(folder, run_progress.of(folder))


def _row(folder: RunFolder, progress: RunProgress | None) -> dict[str, Any]:
    from harness.report import load_rows, score_rows
    from harness.store import disk_size, run_progress
    from harness.store import label as labels

    manifest = folder.manifest
    steps = manifest["steps"]
    return {
        "name": folder.path.name,
        "label": labels.read(folder.path),
        "state": folder.state,
        "progress": progress.to_dict() if progress else None,
        "edited": folder.is_edited,
        **asdict(run_progress.counts(manifest)),
        "box": _box(manifest),
        "clock": _clocks(manifest),
        "host": _host(manifest),
        "host_share": max(_known_shares(steps_of(manifest, "trial")), default=None),
        "seconds": sum(step["seconds"] or 0.0 for name, step in steps.items() if not name.startswith(MODELS)),
        "bytes": disk_size.of_folder(folder.path),
        "load": _load(manifest),
        "load_results": load_rows.read(manifest),
        "scores": score_rows.read(folder).rows,
    }


def _load(manifest: Mapping[str, Any]) -> str | None:
    """Return the kind of the load, or the kinds if a few are compared."""
    sweep, load = (manifest["spec"].get(name) for name in ("sweep", "load"))  # anything, in a damaged manifest
    swept = sweep.get("load.kind") if isinstance(sweep, Mapping) else None
    one = load.get("kind") if isinstance(load, Mapping) else None
    kinds = swept if isinstance(swept, list) and swept else [one]
    return f"{len(kinds)} loads" if len(kinds) > 3 else ", ".join(str(kind) for kind in kinds if kind) or None


def _best(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return the predictor that the report opens with and its accuracy, at contested switches if there were any."""
    from harness.terminal.score_tables import contested

    best = next((row for row in scores if row["best"]), None)
    if best is None:
        return ""
    share = contested(best) or ("" if best["top1"] is None else f"{best['top1']:.1%} of all")
    return f"{best['predictor']} {share}".rstrip()


def _host(manifest: Mapping[str, Any]) -> str | None:
    """Return the CPU of the host and how many it has; None where that is unknown."""
    facts = manifest.get("host") or {}
    return f"{facts['cpu']}, {facts['cores']} CPUs" if facts.get("cpu") and facts.get("cores") else None


def _box(manifest: Mapping[str, Any]) -> str | None:
    """Return the box, or the boxes if arms were recorded on different ones; None if none is known yet."""
    names = dict.fromkeys(recorded_on["box"]["name"] for recorded_on in manifest.get("arms", {}).values())
    return ", ".join(names) or (manifest.get("box") or {}).get("name")


def _clocks(manifest: Mapping[str, Any]) -> str | None:
    """Return the clock of the machine, or the clocks if arms were recorded with different ones.

    Before the first trial the manifest's machine may be one that is only provisioned, always with the host's clock.
    """
    machines = [recorded_on["machine"] for recorded_on in manifest.get("arms", {}).values()]
    if not machines and manifest.get("machine") and steps_of(manifest, "trial"):
        machines = [manifest["machine"]]
    return ", ".join(dict.fromkeys(RecordedClock.of(machine).short for machine in machines)) or None


def _known_shares(trials: Mapping[str, Any]) -> Iterator[float]:
    for step in trials.values():
        share = step["detail"].get("host_share")
        if isinstance(share, (int, float)):
            yield share
