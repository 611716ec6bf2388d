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

from model.bootstrap import over_seeds
from model.errors import SettingError
from model.evaluate import PARTS
from model.metrics import INTERVALS

LONGEST = 100  # characters of a slug
HOST = ("cpu", "cores", "memory_mb", "kernel")


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
        name = BY[by](Path(recordings[0])) if recordings else ""
        told = f"all {len(recordings)} recordings are of one {by} ({name})" if len(recordings) > 1 else ""
        raise SettingError(f"split by {by}: {told or 'there is but one recording'}: name recordings of at least two")
    whole = [Path(recording) for recording in recordings]
    names = _apart({key: BY[by](members[0]) for key, members in groups.items()}, " in {}".format)
    slugs = _apart({key: re.sub(r"[^\w.-]+", "-", name)[:LONGEST] for key, name in names.items()}, _digest)
    return [
        Fold(names[key], slugs[key], tuple(other for other in whole if other not in members), tuple(members))
        for key, members in groups.items()
    ]


def _key(folder: Path, by: str) -> str:
    """What tells groups apart: recordings and runs by where they lie, for others may be called alike."""
    if by in ("recording", "run"):
        return str((_run_of(folder) if by == "run" else None) or folder.resolve())
    return BY[by](folder)


def _apart(names: Mapping[str, str], behind: Callable[[str], str]) -> dict[str, str]:
    """The names by key, with something of the key behind those that several have."""
    count = Counter(names.values())
    return {key: name if count[name] == 1 else name + behind(key) for key, name in names.items()}


def _digest(key: str) -> str:
    return "-" + hashlib.sha256(key.encode()).hexdigest()[:8]


def _recording(folder: Path) -> str:
    """Its name, and that of its run, for trials of several runs are called alike."""
    run = _run_of(folder)
    return f"{run.name}/{folder.name}" if run else str(folder)


def _run(folder: Path) -> str:
    """The run it is a trial of; tables that no run made are one by themselves."""
    return (_run_of(folder) or folder).name


def _load(folder: Path) -> str:
    """What ran, as the run's experiment and its own settings have it."""
    load = dict(_manifest(folder, "load").get("spec", {}).get("load", {}))
    for name, value in _json(folder / "trial.json").get("settings", {}).items():
        if name.startswith("load."):
            load[name[5:]] = value
    if not load:
        raise SettingError(f"{folder}: its run does not say what load it recorded: name it with --test instead")
    kind = load.pop("kind", "load")
    return " ".join([str(kind), *(f"{name}={value}" for name, value in sorted(load.items()))])


def _host(folder: Path) -> str:
    """The machine that its guest ran on, and how that ran it."""
    host = _manifest(folder, "host").get("host", {})
    if not host:
        raise SettingError(f"{folder}: its run does not say on which host it was made: name it with --test instead")
    how = _json(folder / "trial.json").get("machine", {}).get("accelerator")
    return ", ".join(f"{name} {value}" for name, value in [*((n, host.get(n)) for n in HOST), ("under", how)] if value)


BY: Mapping[str, Callable[[Path], str]] = {"recording": _recording, "run": _run, "load": _load, "host": _host}


def _run_of(folder: Path) -> Path | None:
    run = folder.resolve().parents[1]
    return run if (run / "manifest.json").is_file() else None


def _manifest(folder: Path, wanted: str) -> dict[str, Any]:
    run = _run_of(folder)
    if run is None:
        raise SettingError(f"{folder}: no trial of a run, so its {wanted} is not known: name it with --test instead")
    return _json(run / "manifest.json")


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def summarise(scores: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One table per predictor over all its folds: means of the folds, each of which is the mean over its seeds.

    Each of `scores` says its `fold`. `*_ci` is Student's 95 % interval over the folds: how far another recording (load,
    host, run) may be off. Under `folds` are the tables of the single folds and seeds.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for table in scores:
        kinds.setdefault(str(table["predictor"]), []).append(table)
    return [_summary(members) for members in kinds.values()]


def _summary(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = {name: members[0][name] for name in ("predictor", "regime", "mark")}
    told |= {"seeds": sorted({member["seed"] for member in members}), "folds": list(members)}
    told["caveat"] = next((member["caveat"] for member in members if member.get("caveat")), None)
    if all(member.get("online") for member in members):
        told["online"] = _parts([(str(member["fold"]), member["online"]) for member in members])
    return {**told, **_parts([(str(member["fold"]), member) for member in members])}


def _parts(tables: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {part: _means([(fold, table[part]) for fold, table in tables]) for part in PARTS}


def _means(tables: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over folds of what every table has as a number."""
    means: dict[str, Any] = {}
    for name in tables[0][1]:
        by_fold: dict[str, list[float]] = {}
        for fold, table in tables:
            by_fold.setdefault(fold, []).append(table.get(name))  # type: ignore[arg-type]
        values = list(by_fold.values())
        if all(isinstance(value, (int, float)) for seeds in values for value in seeds):
            each = [float(np.mean(seeds)) for seeds in values]
            means |= {name: float(np.mean(each)), INTERVALS.get(name, f"{name}_ci"): over_seeds(each)}
    return means
