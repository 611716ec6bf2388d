"""All runs as one table for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from harness.terminal.line import line
from harness.terminal.plain_table import plain_table
from harness.terminal.progress import spell_seconds
from harness.terminal.tables import host_share, progress_line, state_text

SHARED = ("load", "box", "clock", "host")  # a column of its own only where runs differ; else one line below the table


def runs_table(rows: Sequence[Mapping[str, Any]], empty: str) -> list[RenderableType]:
    """Show runs by their rows, as `run_rows` makes them, and where those under way are; without one, `empty`."""
    from harness.store import disk_size
    from harness.store.run_progress import RunProgress

    if not rows:
        return [line(empty)]
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
    under_way = [(row["name"], RunProgress.from_dict(row["progress"])) for row in rows if row["progress"]]
    lines = [line(f"{name} ").append_text(progress_line(progress)) for name, progress in under_way]
    return [table, *([line((same, "dim"))] if same else []), *labels, *lines]


def _best(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return the predictor that the report opens with and its accuracy, at contested switches if there were any."""
    from harness.terminal.score_tables import contested

    best = next((row for row in scores if row["best"]), None)
    if best is None:
        return ""
    share = contested(best) or ("" if best["top1"] is None else f"{best['top1']:.1%} of all")
    return f"{best['predictor']} {share}".rstrip()
