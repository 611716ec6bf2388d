"""A plain table, and the format of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def plain_table(*columns: str) -> Table:
    """Make a table without lines; a heading that begins with `>` is a column of numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table


def cell(values: Mapping[str, Any], name: str, form: str) -> str:
    """Format `values[name]`; empty if it is missing or None."""
    value = values.get(name)
    return "" if value is None else format(value, form)
