"""The answer to a query over runs, as a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import TYPE_CHECKING

from harness.api.frame import to_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from harness.store import RunFolder


def answer(sql: str, folders: Sequence[RunFolder], problems: Sequence[str] = ()) -> pd.DataFrame:
    """Answer one SELECT over the tables of these runs; `attrs["problems"]` of the frame names what was left out.

    `problems`: what was left out before. Raises QueryError, StoreError, HostError, MissingExtraError.
    """
    from harness.query import RunDatabase

    with RunDatabase(folders) as database:
        table = database.query(sql).table()
        frame = to_frame(_with_plain_numbers(table.rename_columns(_distinct(table.column_names))))
        frame.attrs["problems"] = [*problems, *database.problems]
    return frame


def _with_plain_numbers(table: pa.Table) -> pa.Table:
    """Return decimals as int64 or float64: DuckDB adds integers in 128 bits, which Arrow has as decimals only."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            try:
                plain = table.column(index).cast(pa.float64() if field.type.scale else pa.int64())
            except pa.ArrowInvalid:  # a larger integer stays as it is
                continue
            table = table.set_column(index, field.name, plain)
    return table


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the columns of a name that comes again, as DuckDB does for data frames: `cpu`, `cpu_1`."""
    distinct: list[str] = []
    for name in names:
        others = (f"{name}_{number}" for number in count(1))
        distinct.append(next(each for each in chain([name], others) if each not in distinct))
    return distinct
