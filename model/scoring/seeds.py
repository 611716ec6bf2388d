"""Several seeds of one predictor as one table: means, each with two intervals that answer different questions.

`*_ci`: how far the score may be off on another trial (of a single trial: on another stretch of it). `*_seeds_ci`,
Student's over seeds: how far it may be off when the predictor is trained again; None for one seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import StreamError
from model.scoring.bootstrap import seed_interval
from model.scoring.outcomes import Outcomes, read_outcomes
from model.scoring.scores import PARTS, average_seeds

Table = Mapping[str, Any]
IDENTITY = (
    *("predictor", "settings", "regime", "mark", "clock", "cpu_speed", "tested_clock", "kernel", "tested_kernel"),
    *("learned_from", "trials", "test_events", "fold"),
)
COPIED = (
    *("interval_trials", "caveat", "notes", "recordings", "also_learned_from"),
    *("marks", "parameters", "share_contested", "share_unknown"),
)
SEED_INDEPENDENT = ("events", "chance_top1")


def combine_seeds(members: Sequence[Table], outcomes: Iterable[Outcomes] = ()) -> dict[str, Any]:
    """Combine the tables (`scores.json`) of all seeds of one predictor into one.

    One seed keeps its table, with `seeds` and an empty `*_seeds_ci` for each score. Several give means, with `*_ci`
    only if the `outcomes` of every seed are given, and the single tables under `by_seed`. StreamError if they are not
    seeds of one predictor, scored on the same events.
    """
    first, seeds = members[0], [member.get("seed") for member in members]
    if len(members) == 1:
        parts = {part: _with_seed_intervals(first[part], [first[part]]) for part in PARTS}
        return {**first, "seeds": seeds, **parts}
    for name in IDENTITY:
        if any(member.get(name) != first.get(name) for member in members):
            raise StreamError(f"no seeds of one predictor: {name} is not the same in all of them")
    combined = {name: first[name] for name in (*IDENTITY, *COPIED) if name in first}
    combined |= {"seeds": seeds, "fit_seconds": _mean([member.get("fit_seconds") for member in members])}
    combined |= _parts(members, average_seeds(outcomes))
    online = [member["online"] for member in members if member.get("online")]
    combined["online"] = _parts(online, {}) if len(online) == len(members) else None
    combined["valid"] = _row_means(members, "valid")
    combined["by_trial"] = _row_means(members, "by_trial")
    return {**combined, "by_seed": list(members)}


def _parts(members: Sequence[Table], averages: Mapping[str, Table]) -> dict[str, Any]:
    """Average each part; these intervals are copied from `averages`."""
    parts = {}
    for part in PARTS:
        tables = [member[part] for member in members]
        intervals = {name: value for name, value in averages.get(part, {}).items() if name.endswith("_ci")}
        parts[part] = _with_seed_intervals({**_means(tables), **intervals}, tables)
    return parts


def _with_seed_intervals(table: Table, seeds: Sequence[Table]) -> dict[str, Any]:
    """Add Student's interval over the seeds' tables for each score."""
    scores = [name for name, value in table.items() if _is_number(value) and name not in SEED_INDEPENDENT]
    return {**table, **{f"{name}_seeds_ci": seed_interval([seed[name] for seed in seeds]) for name in scores}}


def _means(tables: Sequence[Table]) -> dict[str, Any]:
    """Average the entries that are numbers in every table; counts of events stay whole."""
    means: dict[str, Any] = {}
    for name in tables[0]:
        values = [table.get(name) for table in tables]
        if all(map(_is_number, values)):
            means[name] = values[0] if name in SEED_INDEPENDENT else _mean(values)
    return means


def _row_means(members: Sequence[Table], name: str) -> dict[str, Any]:
    """Average a table of tables, such as `valid` or `by_trial`, row by row."""
    rows = (members[0].get(name) or {}).keys()
    known = [row for row in rows if all(row in (member.get(name) or {}) for member in members)]
    return {row: _means([member[name][row] for member in members]) for row in known}


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if all(map(_is_number, values)) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def summarise(tables: Sequence[Table], outcomes: Sequence[Outcomes | Path] = ()) -> list[dict[str, Any]]:
    """Combine the seeds of each predictor, in the order of first appearance.

    Tables that differ in IDENTITY are never pooled: arms of a sweep and folds were scored on different events.
    `outcomes`, if given, has an entry per table: the outcomes, or the model folder to read them from.
    """
    groups: dict[str, list[int]] = {}
    for index, table in enumerate(tables):
        groups.setdefault(repr([table.get(name) for name in IDENTITY]), []).append(index)
    return [
        combine_seeds([tables[index] for index in group], (_outcomes(outcomes[index]) for index in group if outcomes))
        for group in groups.values()
    ]


def _outcomes(source: Outcomes | Path) -> Outcomes:
    return read_outcomes(source) if isinstance(source, Path) else source
