"""The answer to a query, and the tables that there are to query, for a terminal. Each function prints nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from harness.counted import counted
from harness.terminal.line import line
from harness.terminal.plain_table import plain_table
from harness.visible import visible

if TYPE_CHECKING:
    import pyarrow as pa

    from harness.query.schema import Table

SENTENCE = 40  # letters, from which on a text with spaces is wrapped
DIGITS = 6  # of a number that is no integer


def answer_table(table: pa.Table, *, more: bool) -> Iterator[RenderableType]:
    """Show rows; `more`: there are others, which are not among them."""
    import pyarrow as pa

    from harness.query.writers import plain

    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    columns = [[_cell(plain(value)) for value in column.to_pylist()] for column in table.columns]
    numbers = [any(test(field.type) for test in numeric) for field in table.schema]
    marks = [">" if number else "~" * _has_sentence(cells) for number, cells in zip(numbers, columns, strict=True)]
    names = [visible(name).lstrip(">~") or " " for name in table.column_names]
    shown = plain_table(*map(str.__add__, marks, names))
    for cells in zip(*columns, strict=True):
        shown.add_row(*cells)
    yield shown
    if not table.num_rows:
        yield line(("no rows", "dim"))
    if more:
        yield line((f"the first {counted(table.num_rows, 'row')}; --limit N shows more, --format csv all", "dim"))


def schema_tables(tables: Mapping[str, Table], names: Sequence[str]) -> Iterator[RenderableType]:
    """Show what the rows of tables are, and their columns."""
    for name in names:
        yield line((name, "bold"), f"  {tables[name].row}")
        shown = plain_table("column", "type", "~meaning")
        for column in tables[name].columns:
            shown.add_row(column.name, column.type, column.meaning.replace("`", ""))
        yield shown


def _has_sentence(cells: Sequence[str]) -> bool:
    return any(len(cell) > SENTENCE and " " in cell for cell in cells)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _number(value: float) -> str:
    """Spell a number with six digits, and all of those before the point."""
    if not value or not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{DIGITS}g}"
    places = max(0, DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text
