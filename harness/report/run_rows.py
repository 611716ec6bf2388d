"""A run as one plain row, for lists of runs, for programs and for queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.recorded_clock import RecordedClock
from harness.report import load_rows, score_rows
from harness.store import disk_size, run_progress
from harness.store import label as labels

if TYPE_CHECKING:
    from harness.store import RunFolder

MODELS = ("model:", "set-aside:")  # the steps of models; the second are of an experiment before it was changed
NESTED = ("progress", "load_results", "scores")  # what a row holds beside plain values
PASSED, FAILED, NONE = "passed", "failed", "none"


def run_row(folder: RunFolder) -> dict[str, Any]:
    """Summarise a run: its folder's name, state, how many of the planned trials and of the begun models are done.

    `edited`: its manifest was changed by another program.

    `clock` is `host` or, as `counted 125`, the instructions per microsecond, or several of these; None before the first
    trial. `host_share` is the largest of the trials' shares; None where none was measured. `progress` is None unless
    it is under way; `scores` are the rows of `report.score_rows`.
    """
    manifest, progress = folder.manifest, run_progress.of(folder)
    return {
        **facts(folder, manifest),
        "progress": progress.to_dict() if progress else None,
        "load_results": load_rows.read(manifest),
        "scores": score_rows.read(folder).rows,
    }


def facts(folder: RunFolder, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values among those of a run's row: what the manifest, the label and the folder's size say."""
    steps = manifest["steps"]
    return {
        "name": folder.path.name,
        "label": labels.read(folder.path),
        "experiment": manifest["spec"].get("name"),
        "state": folder.state,
        "verdict": verdict(manifest),
        "created": manifest.get("created"),
        "edited": folder.is_edited,
        **asdict(run_progress.counts(manifest)),
        "box": _box(manifest),
        "clock": _clocks(manifest),
        "host": _host(manifest),
        "host_share": max(_known_shares(steps), default=None),
        "seconds": sum(step["seconds"] or 0.0 for name, step in steps.items() if not name.startswith(MODELS)),
        "bytes": disk_size.of_folder(folder.path),
        "load": load(manifest),
        "version": manifest.get("versions", {}).get("harness"),
    }


def in_order(rows: Sequence[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """Sort rows by a column, with `:desc` after its name from the largest to the smallest; without a value last.

    `run` stands for `name`. Raises UsageError for a column that is none, or holds several values.
    """
    given, _, way = order.partition(":")
    column = "name" if given == "run" else given
    known = [name for name in (rows[0] if rows else ()) if name not in NESTED]
    if way not in ("", "asc", "desc"):
        raise UsageError(f"{order!r} is no order", where="--sort", expected=f"{given}, or {given}:desc")
    if rows and column not in known:
        near = get_close_matches(column, known, n=1)
        hint = f"did you mean {near[0]}?" if near else None
        raise UsageError(f"there is no column {column!r}", where="--sort", expected=", ".join(known), hint=hint)
    with_value = [row for row in rows if row[column] is not None]
    without = [row for row in rows if row[column] is None]
    return sorted(with_value, key=lambda row: row[column], reverse=way == "desc") + without


def verdict(manifest: Mapping[str, Any]) -> str:
    """Return `passed` if every planned trial is usable, `failed` if one was recorded and is not, `none` before that."""
    if any(step["state"] == "failed" for name, step in manifest["steps"].items() if name.startswith("trial:")):
        return FAILED
    counts = run_progress.counts(manifest)
    return PASSED if counts.trials and counts.trials_done == counts.trials else NONE


def load(manifest: Mapping[str, Any]) -> str | None:
    """Return the kind of the load, or the kinds if a few are compared."""
    sweep, given = (manifest["spec"].get(name) for name in ("sweep", "load"))  # anything, in a damaged manifest
    swept = sweep.get("load.kind") if isinstance(sweep, Mapping) else None
    one = given.get("kind") if isinstance(given, Mapping) else None
    kinds = swept if isinstance(swept, list) and swept else [one]
    return f"{len(kinds)} loads" if len(kinds) > 3 else ", ".join(str(kind) for kind in kinds if kind) or None


def _host(manifest: Mapping[str, Any]) -> str | None:
    """Return the CPU of the host and how many it has; None where that is unknown."""
    known = manifest.get("host") or {}
    return f"{known['cpu']}, {known['cores']} CPUs" if known.get("cpu") and known.get("cores") else None


def _box(manifest: Mapping[str, Any]) -> str | None:
    """Return the box, or the boxes if arms were recorded on different ones; None if none is known yet."""
    names = dict.fromkeys(recorded_on["box"]["name"] for recorded_on in manifest.get("arms", {}).values())
    return ", ".join(names) or (manifest.get("box") or {}).get("name")


def _clocks(manifest: Mapping[str, Any]) -> str | None:
    """Return the clock of the machine, or the clocks if arms were recorded with different ones.

    Before the first trial the manifest's machine may be one that is only provisioned, always with the host's clock.
    """
    machines = [recorded_on["machine"] for recorded_on in manifest.get("arms", {}).values()]
    if not machines and manifest.get("machine") and any(name.startswith("trial:") for name in manifest["steps"]):
        machines = [manifest["machine"]]
    return ", ".join(dict.fromkeys(RecordedClock.of(machine).short for machine in machines)) or None


def _known_shares(steps: Mapping[str, Any]) -> Iterator[float]:
    for name, step in steps.items():
        share = step["detail"].get("host_share")
        if name.startswith("trial:") and isinstance(share, (int, float)):
            yield share
