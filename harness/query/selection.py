"""Which of several runs match a condition in SQL, over the columns of the table `runs`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.query.database import RunDatabase
from harness.query.statement import QueryError, Statement
from harness.store import RunFolder

EXPECTED = "a condition over the columns of runs, such as: box = 'debian-12' AND verdict = 'passed'"


def matching(folders: Sequence[RunFolder], condition: str) -> tuple[list[RunFolder], list[str]]:
    """Return the runs for which a condition holds, in their order, and a sentence for all that was left out.

    `name` stands for `run`. What is left out are damaged files of other tables than `runs`, if a condition asks them.

    Raises QueryError for one that is wrong, MissingExtraError without the extra `query`.
    """
    if not condition.strip():
        raise QueryError("there is no condition", where=condition, expected=EXPECTED)
    if not folders:
        return [], []
    with RunDatabase(folders) as database:
        before = len(database.problems)
        start = "SELECT run FROM (SELECT *, run AS name FROM runs) runs WHERE"
        try:
            Statement.parse(f"{start}\n{condition}")  # alone, so that it closes no parenthesis that it did not open
            text = f"{start} (\n{condition}\n)"
            chosen = set(database.query(text).table()["run"].to_pylist())
        except QueryError as error:
            what = re.sub(r"LINE (\d+):", lambda number: f"LINE {int(number[1]) - 1}:", error.what)
            raise QueryError(what, where=condition, expected=EXPECTED) from None
        kept = [folder for name, folder in zip(database.names, folders, strict=True) if name in chosen]
        return kept, database.problems[before:]
