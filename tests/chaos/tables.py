"""The results of `chaos` as Markdown tables, and the page that shows the last ones."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from campaign_kills import CampaignKill
from kills import Outcome
from reading import Reading

BEGIN, END = "<!-- made by `make chaos` -->", "<!-- end -->"


def markdown(
    readings: Sequence[Reading], kills: Sequence[Outcome], campaigns: Sequence[CampaignKill], seconds: float
) -> str:
    """Return all tables, with a sentence on where and how long."""
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    made = f"{seconds / 60:.0f} minutes on {system}, Python {platform.python_version()}."
    return "\n\n".join([made, _read(readings), _killed(kills), _campaigns(campaigns)])


def replace(page: Path, text: str) -> None:
    """Put the tables between the two marks of a page."""
    whole = page.read_text("utf-8")
    before, _, rest = whole.partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", "utf-8")


def _read(readings: Sequence[Reading]) -> str:
    rows = [(kind.kind, kind.read + kind.refused, kind.read, kind.refused, len(kind.problems)) for kind in readings]
    total = tuple(sum(row[column] for row in rows) for column in range(1, 5))  # type: ignore[misc]
    return _table(("damaged file", "tried", "read", "refused", "problems"), [*rows, ("all", *total)])


def _killed(kills: Sequence[Outcome]) -> str:
    rows = []
    for command in dict.fromkeys(kill.command for kill in kills):
        those = [kill for kill in kills if kill.command == command]
        left = sum(bool(kill.left) for kill in those)
        rows.append((f"`{command}`", len(those), sum(kill.in_time for kill in those), left, _bad(those)))
    total = (len(kills), sum(kill.in_time for kill in kills), sum(bool(kill.left) for kill in kills), _bad(kills))
    head = ("killed command", "kills", "before its end", "left a file that the next run removed", "problems")
    return _table(head, [*rows, ("all", *total)])


def _campaigns(campaigns: Sequence[CampaignKill]) -> str:
    if not campaigns:
        return "No campaign with a machine was killed."
    steps = Counter(kill.step for kill in campaigns)
    rows = [(step, count, _bad([kill for kill in campaigns if kill.step == step])) for step, count in steps.items()]
    head = ("step in which a campaign with a machine was killed", "kills", "problems")
    return _table(head, [*rows, ("all", len(campaigns), _bad(campaigns))])


def _bad(kills: Sequence[Outcome] | Sequence[CampaignKill]) -> int:
    return sum(bool(kill.problems) for kill in kills)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
