"""A plain table whose cells are shown as they are, whole on a narrow terminal too, and the format of one cell."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from harness.visible import visible

UNLIMITED = 100_000  # columns
SENTENCE = 20  # columns, in which a sentence is still readable


class PlainTable(Table):
    """A table that reads neither markup nor line feeds from the texts in its cells, and breaks no name and no number.

    Sentences are wrapped between words. Where that does not make room enough, the columns that do not fit follow in a
    second table below, with the first column again.
    """

    def add_column(self, header: RenderableType = "", *others: Any, **options: Any) -> None:
        """Add a column; its heading may be wrapped even where its cells may not."""
        heading = Text(header, no_wrap=False) if isinstance(header, str) else header
        super().add_column(heading, *others, **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; a text becomes one line."""
        super().add_row(*(Text(visible(cell)) if isinstance(cell, str) else cell for cell in cells), **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or the tables that it has to be cut into."""
        sizes = [_size(column, console, options) for column in self.columns]
        for number, chosen in enumerate(self._parts(sizes, options.max_width)):
            part = self._of_columns(chosen, sizes, options.max_width)
            if number:
                part.title = None
                yield Text()
            needed = sum(column.width or 0 for column in part.columns) + self._space(len(chosen))
            wide = options.update_width(max(options.max_width, needed))
            yield from Table.__rich_console__(part, console, wide)

    def _parts(self, sizes: Sequence[Measurement], room: int) -> Iterator[list[int]]:
        """Yield the indices of the columns that fit beside each other; the first with a heading begins each part."""
        named = next((index for index, column in enumerate(self.columns) if str(column.header)), 0)
        key = list(range(named + 1))
        chosen = list(key)
        for index in range(len(key), len(sizes)):
            if len(chosen) > len(key) and self._least([*chosen, index], sizes) > room:
                yield chosen
                chosen = list(key)
            chosen.append(index)
        yield chosen

    def _least(self, chosen: Sequence[int], sizes: Sequence[Measurement]) -> int:
        return sum(sizes[index].minimum for index in chosen) + self._space(len(chosen))

    def _space(self, columns: int) -> int:
        """Return the width of all that is not content: between the columns, and of the edges of a box."""
        _, right, _, left = self.padding
        gap = (max(left, right) if self.collapse_padding else left + right) + (self.box is not None)
        return gap * (columns - 1) + (2 if self.box and self.show_edge else 0)

    def _of_columns(self, chosen: Sequence[int], sizes: Sequence[Measurement], room: int) -> PlainTable:
        """Return a table of these columns, each as wide as its content needs, as far as there is room."""
        part = copy.copy(self)
        spare = max(0, room - self._least(chosen, sizes))
        widths = _shared_out([sizes[index] for index in chosen], spare)
        part.columns = [
            replace(self.columns[index], width=width, _index=new)
            for new, (index, width) in enumerate(zip(chosen, widths, strict=True))
        ]
        return part


def _size(column: Column, console: Console, options: ConsoleOptions) -> Measurement:
    """Return the least width of a column, in which no name, number or word is broken, and that of its content.

    With a `min_width` that is the least, and words may be broken.
    """
    unlimited = options.update_width(UNLIMITED)
    heading, *cells = (Measurement.get(console, unlimited, cell) for cell in (column.header, *column.cells))
    widest = max((cell.maximum for cell in cells), default=0)
    if column.min_width:
        widest = max(widest, heading.maximum)
        return Measurement(min(widest, column.min_width), widest)
    least = widest
    if not column.no_wrap:
        words = max((cell.minimum for cell in cells), default=0)
        least = min(widest, max(words, SENTENCE))
    return Measurement(max(heading.minimum, least), max(heading.maximum, widest))


def _shared_out(sizes: Sequence[Measurement], spare: int) -> list[int]:
    """Return the width of each column: its least, and a share of the spare columns as long as it has use for them."""
    widths = [size.minimum for size in sizes]
    for _ in range(spare):
        growing = [index for index, size in enumerate(sizes) if widths[index] < size.maximum]
        if not growing:
            break
        widths[min(growing, key=widths.__getitem__)] += 1
    return widths


def plain_table(*columns: str) -> PlainTable:
    """Make a table without lines; `>` begins the heading of a column of numbers, and `~` of one with sentences.

    Only sentences are wrapped: names and numbers stay whole. `/` begins the heading of paths and digests, which may be
    broken anywhere.
    """
    table = PlainTable(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        broken = SENTENCE if column.startswith("/") else None
        whole = not column.startswith(("~", "/"))
        table.add_column(column.lstrip(">~/"), justify=justify, no_wrap=whole, min_width=broken, overflow="fold")
    return table


def cell(values: Mapping[str, Any], name: str, form: str) -> str:
    """Format `values[name]`; empty if it is missing or None."""
    value = values.get(name)
    return "" if value is None else format(value, form)
