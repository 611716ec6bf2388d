"""Which of several runs match a condition in SQL, over the columns of the table `runs`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.query.database import RunDatabase
from harness.query.statement import QueryError
from harness.store import RunFolder

EXPECTED = "a condition over the columns of runs, such as: box = 'debian-12' AND verdict = 'passed'"


def matching(folders: Sequence[RunFolder], condition: str) -> list[RunFolder]:
    """Return the runs for which a condition holds, in their order; `name` stands for `run`.

    Raises QueryError for one that is wrong, MissingExtraError without the extra `query`.
    """
    if not folders:
        return []
    with RunDatabase(folders) as database:
        text = f"SELECT run FROM (SELECT *, run AS name FROM runs) runs WHERE (\n{condition}\n)"
        try:
            chosen = set(database.query(text).table()["run"].to_pylist())
        except QueryError as error:
            what = re.sub(r"LINE (\d+):", lambda number: f"LINE {int(number[1]) - 1}:", error.what)
            raise QueryError(what, where=condition, expected=EXPECTED) from None
        return [folder for name, folder in zip(database.names, folders, strict=True) if name in chosen]
