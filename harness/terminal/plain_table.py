"""A plain table whose cells are shown as they are, and the format of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.visible import visible


class PlainTable(Table):
    """A table that reads neither markup nor line feeds from the texts in its cells."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; a text becomes one line."""
        super().add_row(*(Text(visible(cell)) if isinstance(cell, str) else cell for cell in cells), **options)


def plain_table(*columns: str) -> PlainTable:
    """Make a table without lines; a heading that begins with `>` is a column of numbers."""
    table = PlainTable(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table


def cell(values: Mapping[str, Any], name: str, form: str) -> str:
    """Format `values[name]`; empty if it is missing or None."""
    value = values.get(name)
    return "" if value is None else format(value, form)
