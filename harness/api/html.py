"""Small tables for a notebook: escaped, and complete without a style sheet, a script or the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from html import escape
from typing import Any, TypeVar

from harness.errors import HarnessError
from harness.visible import visible

MOST_ROWS = 20
Shown = TypeVar("Shown")


def sentence(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{_text(text)}</p>"


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], most: int = MOST_ROWS) -> str:
    """Return a table of texts and numbers; of many rows the first `most`, and how many are left out."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in columns)
    lines = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:most]]
    if len(rows) > most:
        lines.append(f'<tr><td colspan="{len(columns)}">and {len(rows) - most:,} more</td></tr>')
    return _framed(caption, f"<thead><tr>{head}</tr></thead>" if columns else "", lines)


def facts(caption: str, pairs: Iterable[tuple[str, Any]]) -> str:
    """Return a table with a row for each fact that is known: its name, and its value."""
    known = ((name, value) for name, value in pairs if value not in (None, ""))
    return _framed(caption, "", [f'<tr><th scope="row">{_text(name)}</th>{_cell(value)}</tr>' for name, value in known])


def said(method: Callable[[Shown], str]) -> Callable[[Shown], str]:
    """Make a `_repr_html_` of damaged files say so in its place, as `repr` does: showing an object raises nothing."""

    @wraps(method)
    def shown(self: Shown) -> str:
        try:
            return method(self)
        except HarnessError:
            return f"<pre>{_text(repr(self))}</pre>"

    return shown


def _framed(caption: str, head: str, lines: Iterable[str]) -> str:
    named = f"<caption>{_text(caption)}</caption>" if caption else ""
    return f"<table>{named}{head}<tbody>{''.join(lines)}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f'<td style="text-align: left">{_text(_word(value))}</td>'
    return f"<td>{_text(f'{value:,}' if isinstance(value, int) else f'{value:,.4g}')}</td>"


def _word(value: Any) -> Any:
    return {True: "yes", False: "no", None: ""}.get(value, value) if isinstance(value, (bool, type(None))) else value


def _text(value: Any) -> str:
    return escape(visible(value))
