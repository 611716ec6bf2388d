"""Several seeds of one predictor as one: means, each with two intervals that answer two questions.

`*_ci` is the block bootstrap's: how far the score may be off on another stretch of such recordings. `*_seeds_ci` is
Student's over seeds: how far it may be off when trained again. One seed tells nothing of that, and has None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import StreamError
from model.scoring import scores as scores_module
from model.scoring.bootstrap import over_seeds
from model.scoring.outcomes import Outcomes, read

Table = Mapping[str, Any]
ALIKE = ("predictor", "settings", "regime", "mark", "learned_from", "trials", "test_events", "fold")
KEPT = ("caveat", "also_learned_from", "marks", "parameters", "share_contested", "share_unknown")
OF_THE_EVENTS = ("events", "chance_top1")  # what no seed changes


def together(members: Sequence[Table], outcomes: Iterable[Outcomes] = ()) -> dict[str, Any]:
    """One table for all seeds of one predictor, from the table of each (`scores.json`).

    One seed's is its own, with `seeds` and an empty `*_seeds_ci` for each score. Of several it holds means, the mean's
    bootstrap where the `outcomes` of every seed are given, else no `*_ci`, and the single tables under `by_seed`.
    StreamError where they are not seeds of one predictor, scored on the same events.
    """
    first, seeds = members[0], [member.get("seed") for member in members]
    if len(members) == 1:
        parts = {part: _with_seeds(first[part], [first[part]]) for part in scores_module.PARTS}
        return {**first, "seeds": seeds, **parts}
    for name in ALIKE:
        if any(member.get(name) != first.get(name) for member in members):
            raise StreamError(f"no seeds of one predictor: {name} is not the same in all of them")
    told = {name: first[name] for name in (*ALIKE, *KEPT) if name in first}
    drawn = scores_module.together(outcomes)
    told |= {"seeds": seeds, "fit_seconds": _mean([member.get("fit_seconds") for member in members])}
    told |= _parts(members, drawn)
    learned_on = [member["online"] for member in members if member.get("online")]
    told["online"] = _parts(learned_on, {}) if len(learned_on) == len(members) else None
    told["valid"] = _tables(members, "valid")
    told["by_trial"] = _tables(members, "by_trial")
    return {**told, "by_seed": list(members)}


def _parts(members: Sequence[Table], drawn: Mapping[str, Table]) -> dict[str, Any]:
    """Means of each part; the bootstrap's intervals are those of `drawn`."""
    parts = {}
    for part in scores_module.PARTS:
        tables = [member[part] for member in members]
        intervals = {name: value for name, value in drawn.get(part, {}).items() if name.endswith("_ci")}
        parts[part] = _with_seeds({**_means(tables), **intervals}, tables)
    return parts


def _with_seeds(told: Table, seeds: Sequence[Table]) -> dict[str, Any]:
    """The table and, for each of its scores, Student's interval over the seeds' tables."""
    scores = [name for name, value in told.items() if _is_number(value) and name not in OF_THE_EVENTS]
    return {**told, **{f"{name}_seeds_ci": over_seeds([seed[name] for seed in seeds]) for name in scores}}


def _means(tables: Sequence[Table]) -> dict[str, Any]:
    """Of what every table has as a number; what counts events stays a whole one."""
    means: dict[str, Any] = {}
    for name in tables[0]:
        values = [table.get(name) for table in tables]
        if all(map(_is_number, values)):
            means[name] = values[0] if name in OF_THE_EVENTS else _mean(values)
    return means


def _tables(members: Sequence[Table], name: str) -> dict[str, Any]:
    """Means of a table of tables, such as `valid` or `by_trial`, row by row."""
    rows = (members[0].get(name) or {}).keys()
    known = [row for row in rows if all(row in (member.get(name) or {}) for member in members)]
    return {row: _means([member[name][row] for member in members]) for row in known}


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if all(map(_is_number, values)) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def summarise(tables: Sequence[Table], outcomes: Sequence[Outcomes | Path] = ()) -> list[dict[str, Any]]:
    """One table for each predictor, in the order of the first of each: what differs in ALIKE is never pooled.

    Arms of a sweep and folds differ in what they were scored on. `outcomes`, where they are given, are what became of
    each event for each table, or the folder that `model.jobs` left that in.
    """
    groups: dict[str, list[int]] = {}
    for place, table in enumerate(tables):
        groups.setdefault(repr([table.get(name) for name in ALIKE]), []).append(place)
    told = []
    for places in groups.values():
        found = (_outcomes(outcomes[place]) for place in places if outcomes)
        told.append(together([tables[place] for place in places], found))
    return told


def _outcomes(kept: Outcomes | Path) -> Outcomes:
    return read(kept) if isinstance(kept, Path) else kept
