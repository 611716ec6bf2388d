"""Held-out groups: each recording, load, host or run in turn is the test set, predicted from all the others."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.data.metadata import manifest, run_of, trial
from model.errors import SettingError
from model.scoring.bootstrap import seed_interval
from model.scoring.metrics import INTERVALS
from model.scoring.scores import PARTS
from model.scoring.seeds import SEED_INDEPENDENT

MAX_SLUG = 100  # characters
KIND = "kind"  # the trait shown without its name

Traits = dict[str, Any]


@dataclass(frozen=True)
class Fold:
    """The recordings of one held-out group, and all the others; names and slugs are unique."""

    name: str  # of the held-out group
    slug: str  # the name as part of a folder name
    train: tuple[Path, ...]
    test: tuple[Path, ...]


def make_folds(recordings: Sequence[Path], by: str) -> list[Fold]:
    """Return one fold per group, in the order of each group's first recording. `by` is one of BY.

    SettingError for a single group, or for a recording whose group is unknown.
    """
    if by not in BY:
        raise SettingError(f"split {by!r}: expected one of {', '.join(BY)}")
    recordings = [Path(recording) for recording in recordings]
    groups: dict[str, list[Path]] = {}
    for recording in recordings:
        groups.setdefault(_group_key(recording, by), []).append(recording)
    traits = [BY[by](members[0]) for members in groups.values()]
    if len(groups) < 2:
        reason = "there is but one recording"
        if len(recordings) > 1:
            reason = f"all {len(recordings)} recordings are of one {by} ({_group_names(traits)[0]})"
        raise SettingError(f"split by {by}: {reason}: name recordings of at least two")
    names = _unique(dict(zip(groups, _group_names(traits), strict=True)), " in {}".format)
    slugs = _unique({key: re.sub(r"[^\w.-]+", "-", name)[:MAX_SLUG] for key, name in names.items()}, _digest)
    return [
        Fold(names[key], slugs[key], tuple(other for other in recordings if other not in members), tuple(members))
        for key, members in groups.items()
    ]


def _group_key(folder: Path, by: str) -> str:
    """Identify a group; recordings and runs by their paths, because names repeat."""
    if by in ("recording", "run"):
        return str((run_of(folder) if by == "run" else None) or folder.resolve())
    return json.dumps(BY[by](folder), sort_keys=True)


def _group_names(groups: Sequence[Traits]) -> list[str]:
    """Name each group by its kind and the traits that differ from others of that kind; a single group by all."""
    names = []
    for traits in groups:
        same_kind = [other for other in groups if other is not traits and other.get(KIND) == traits.get(KIND)]
        shown = [
            f"{name} {value}" if name != KIND else str(value)
            for name, value in traits.items()
            if name == KIND or len(groups) == 1 or any(other.get(name) != value for other in same_kind)
        ]
        names.append(", ".join(shown))
    return names


def _unique(names: Mapping[str, str], suffix: Callable[[str], str]) -> dict[str, str]:
    """Make names unique: a name that several keys share gets the suffix of its key."""
    count = Counter(names.values())
    return {key: name if count[name] == 1 else name + suffix(key) for key, name in names.items()}


def _digest(key: str) -> str:
    return "-" + hashlib.sha256(key.encode()).hexdigest()[:8]


def _recording_traits(folder: Path) -> Traits:
    """Return name and run: trials of several runs have the same names."""
    run = run_of(folder)
    return {KIND: folder.name, "of": run.name} if run else {KIND: folder.name}


def _run_traits(folder: Path) -> Traits:
    """Return the run of a trial; tables that no run made are a group by themselves."""
    return {KIND: (run_of(folder) or folder).name}


def _load_traits(folder: Path) -> Traits:
    """Return the load of the run's experiment, with the trial's own settings."""
    load = dict(_manifest(folder, "load").get("spec", {}).get("load", {}))
    for name, value in trial(folder).get("settings", {}).items():
        if name.startswith("load."):
            load[name[5:]] = value
    if not load:
        raise SettingError(f"{folder}: its run does not say what load it recorded: name it with --test instead")
    return {KIND: load.pop("kind", "load"), **dict(sorted(load.items()))}


def _host_traits(folder: Path) -> Traits:
    """Return the host as the run describes it, and how it ran the guest (KVM or TCG)."""
    host = _manifest(folder, "host").get("host", {})
    if not host:
        raise SettingError(f"{folder}: its run does not say on which host it was made: name it with --test instead")
    accelerator = trial(folder).get("machine", {}).get("accelerator")
    memory = {"memory GB": round(host["memory_mb"] / 1024)} if host.get("memory_mb") else {}  # varies a little by boot
    hardware = {"cpu": host.get("cpu"), "cores": host.get("cores"), **memory}
    traits = {**hardware, "kernel": host.get("kernel"), "under": accelerator}
    return {name: value for name, value in traits.items() if value}


BY: Mapping[str, Callable[[Path], Traits]] = {
    "recording": _recording_traits,
    "run": _run_traits,
    "load": _load_traits,
    "host": _host_traits,
}


def _manifest(folder: Path, wanted: str) -> dict[str, Any]:
    run = run_of(folder)
    if run is None:
        raise SettingError(f"{folder}: no trial of a run, so its {wanted} is not known: name it with --test instead")
    return manifest(run)


def summarise(folds: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one table per predictor: means over its folds, each of which is the mean over its seeds.

    `folds` are results of `model.scoring.seeds.combine_seeds`, each with its `fold`. `*_ci` is Student's 95 % interval
    over the folds: how far another recording (load, host, run) may be off; `*_seeds_ci` the same over seeds, each of
    them the mean of its folds. `folds` holds the tables of the single folds.
    """
    predictors: dict[str, list[Mapping[str, Any]]] = {}
    for table in folds:
        predictors.setdefault(str(table["predictor"]), []).append(table)
    return [_summary(tables) for tables in predictors.values()]


def _summary(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summary = {name: folds[0][name] for name in ("predictor", "regime", "mark")}
    summary |= {name: folds[0].get(name) for name in ("clock", "cpu_speed", "kernel")}
    summary |= {"seeds": list(dict.fromkeys(seed for fold in folds for seed in fold["seeds"]))}
    summary |= {"folds": list(folds), "test_events": sum(fold.get("test_events", 0) for fold in folds)}
    for name in ("share_contested", "share_unknown"):
        summary[name] = _mean([fold[name] for fold in folds])
    summary["caveat"] = next((fold["caveat"] for fold in folds if fold.get("caveat")), None)
    summary["notes"] = list(dict.fromkeys(note for fold in folds for note in fold.get("notes", ())))
    summary["online"] = None
    if all(fold.get("online") for fold in folds):
        summary["online"] = _parts([fold["online"] for fold in folds], [])
        summary["online"]["share_unknown"] = summary["share_unknown"]
    return {**summary, **_parts(folds, _by_seed(folds))}


def _by_seed(folds: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the tables of all folds for each seed, without seeds whose training failed in some fold."""
    known = [dict(zip(fold["seeds"], fold.get("by_seed", [fold]), strict=True)) for fold in folds]
    return [[fold[seed] for fold in known] for seed in known[0] if all(seed in fold for fold in known)]


def _parts(folds: Sequence[Mapping[str, Any]], seeds: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        part: _means([fold[part] for fold in folds], [[table[part] for table in seed] for seed in seeds])
        for part in PARTS
    }


def _means(folds: Sequence[Mapping[str, Any]], seeds: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Average the entries that are numbers in every fold's table; `seeds` holds the folds' tables by seed."""
    means: dict[str, Any] = {}
    for name in folds[0]:
        values = [fold.get(name) for fold in folds]
        if all(isinstance(value, (int, float)) for value in values):
            by_seed = [_mean([fold[name] for fold in seed]) for seed in seeds]
            means |= {name: _mean(values), INTERVALS.get(name, f"{name}_ci"): seed_interval(values)}  # type: ignore[arg-type]
            if name not in SEED_INDEPENDENT:
                means[f"{name}_seeds_ci"] = seed_interval(by_seed)
    return means


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values))
