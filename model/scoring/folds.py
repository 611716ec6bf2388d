"""Leave one out: one recording, one load, one host, one run is the test, whole, and is foreseen from all the others."""

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
from model.scoring.bootstrap import over_seeds
from model.scoring.metrics import INTERVALS
from model.scoring.scores import PARTS
from model.scoring.seeds import OF_THE_EVENTS

LONGEST = 100  # characters of a slug
KIND = "kind"  # the trait that is said without its name

Traits = dict[str, Any]


@dataclass(frozen=True)
class Fold:
    """`name` is what is held out, `slug` the same as part of a folder's name; no two folds have either in common."""

    name: str
    slug: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]


def folds(recordings: Sequence[Path], by: str) -> list[Fold]:
    """One fold per group of recordings, in the order of their first. `by` is one of BY.

    SettingError where there is but one group, or where a recording does not say to which it belongs.
    """
    if by not in BY:
        raise SettingError(f"split {by!r}: expected one of {', '.join(BY)}")
    groups: dict[str, list[Path]] = {}
    for recording in recordings:
        groups.setdefault(_key(Path(recording), by), []).append(Path(recording))
    if len(groups) < 2:
        name = _spoken([BY[by](Path(recordings[0]))])[0] if recordings else ""
        told = f"all {len(recordings)} recordings are of one {by} ({name})" if len(recordings) > 1 else ""
        raise SettingError(f"split by {by}: {told or 'there is but one recording'}: name recordings of at least two")
    whole = [Path(recording) for recording in recordings]
    spoken = _spoken([BY[by](members[0]) for members in groups.values()])
    names = _apart(dict(zip(groups, spoken, strict=True)), " in {}".format)
    slugs = _apart({key: re.sub(r"[^\w.-]+", "-", name)[:LONGEST] for key, name in names.items()}, _digest)
    return [
        Fold(names[key], slugs[key], tuple(other for other in whole if other not in members), tuple(members))
        for key, members in groups.items()
    ]


def _key(folder: Path, by: str) -> str:
    """What tells groups apart: recordings and runs by where they lie, for others may be called alike."""
    if by in ("recording", "run"):
        return str((run_of(folder) if by == "run" else None) or folder.resolve())
    return json.dumps(BY[by](folder), sort_keys=True)


def _spoken(groups: Sequence[Traits]) -> list[str]:
    """A name for each: its kind, and of its other traits those that tell it from others of that kind; alone, all."""
    names = []
    for traits in groups:
        rivals = [other for other in groups if other is not traits and other.get(KIND) == traits.get(KIND)]
        shown = [
            f"{name} {value}" if name != KIND else str(value)
            for name, value in traits.items()
            if name == KIND or len(groups) == 1 or any(other.get(name) != value for other in rivals)
        ]
        names.append(", ".join(shown))
    return names


def _apart(names: Mapping[str, str], behind: Callable[[str], str]) -> dict[str, str]:
    """The names by key, with something of the key behind those that several have."""
    count = Counter(names.values())
    return {key: name if count[name] == 1 else name + behind(key) for key, name in names.items()}


def _digest(key: str) -> str:
    return "-" + hashlib.sha256(key.encode()).hexdigest()[:8]


def _recording(folder: Path) -> Traits:
    """Its name, and that of its run, for trials of several runs are called alike."""
    run = run_of(folder)
    return {KIND: folder.name, "of": run.name} if run else {KIND: folder.name}


def _run(folder: Path) -> Traits:
    """The run it is a trial of; tables that no run made are one by themselves."""
    return {KIND: (run_of(folder) or folder).name}


def _load(folder: Path) -> Traits:
    """What ran, as the run's experiment and its own settings have it."""
    load = dict(_manifest(folder, "load").get("spec", {}).get("load", {}))
    for name, value in trial(folder).get("settings", {}).items():
        if name.startswith("load."):
            load[name[5:]] = value
    if not load:
        raise SettingError(f"{folder}: its run does not say what load it recorded: name it with --test instead")
    return {KIND: load.pop("kind", "load"), **dict(sorted(load.items()))}


def _host(folder: Path) -> Traits:
    """The machine that its guest ran on, as far as a run describes it, and how that ran it."""
    host = _manifest(folder, "host").get("host", {})
    if not host:
        raise SettingError(f"{folder}: its run does not say on which host it was made: name it with --test instead")
    how = trial(folder).get("machine", {}).get("accelerator")
    memory = {"memory GB": round(host["memory_mb"] / 1024)} if host.get("memory_mb") else {}  # it varies by boot
    hardware = {"cpu": host.get("cpu"), "cores": host.get("cores"), **memory}
    traits = {**hardware, "kernel": host.get("kernel"), "under": how}
    return {name: value for name, value in traits.items() if value}


BY: Mapping[str, Callable[[Path], Traits]] = {"recording": _recording, "run": _run, "load": _load, "host": _host}


def _manifest(folder: Path, wanted: str) -> dict[str, Any]:
    run = run_of(folder)
    if run is None:
        raise SettingError(f"{folder}: no trial of a run, so its {wanted} is not known: name it with --test instead")
    return manifest(run)


def summarise(folds: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One table per predictor over all its folds: means of the folds, each of which is the mean over its seeds.

    Each of `folds` is a result of `model.scoring.seeds.together` and names its `fold`. `*_ci` is Student's 95 %
    interval over the folds: how far another recording (load, host, run) may be off; `*_seeds_ci` the same over seeds,
    each of them the mean of its folds. Under `folds` are the tables of the single folds.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for table in folds:
        kinds.setdefault(str(table["predictor"]), []).append(table)
    return [_summary(members) for members in kinds.values()]


def _summary(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = {name: members[0][name] for name in ("predictor", "regime", "mark")}
    told |= {"seeds": list(dict.fromkeys(seed for member in members for seed in member["seeds"]))}
    told |= {"folds": list(members), "test_events": sum(member.get("test_events", 0) for member in members)}
    for name in ("share_contested", "share_unknown"):
        told[name] = _mean([member[name] for member in members])
    told["caveat"] = next((member["caveat"] for member in members if member.get("caveat")), None)
    told["online"] = None
    if all(member.get("online") for member in members):
        told["online"] = _parts([member["online"] for member in members], [])
        told["online"]["share_unknown"] = told["share_unknown"]
    return {**told, **_parts(members, _by_seed(members))}


def _by_seed(folds: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The tables of all folds for each seed that no fold lacks: one whose training failed somewhere has no mean."""
    known = [dict(zip(fold["seeds"], fold.get("by_seed", [fold]), strict=True)) for fold in folds]
    return [[fold[seed] for fold in known] for seed in known[0] if all(seed in fold for fold in known)]


def _parts(folds: Sequence[Mapping[str, Any]], seeds: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    of = {part: [[table[part] for table in seed] for seed in seeds] for part in PARTS}
    return {part: _means([fold[part] for fold in folds], of[part]) for part in PARTS}


def _means(folds: Sequence[Mapping[str, Any]], seeds: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over folds of what every table has as a number; `seeds` holds the folds' tables seed by seed."""
    means: dict[str, Any] = {}
    for name in folds[0]:
        values = [fold.get(name) for fold in folds]
        if all(isinstance(value, (int, float)) for value in values):
            each = [_mean([fold[name] for fold in seed]) for seed in seeds]
            means |= {name: _mean(values), INTERVALS.get(name, f"{name}_ci"): over_seeds(values)}  # type: ignore[arg-type]
            if name not in OF_THE_EVENTS:
                means[f"{name}_seeds_ci"] = over_seeds(each)
    return means


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values))
