"""Decides how to read the states that a text of events prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.trace.tables.schemas import SCHEMAS
from harness.trace.text.line_forms import LineForm
from harness.trace.text.lines import TextFile
from harness.trace.text.notes import Notes
from harness.trace.text.perf_script import ScriptReader
from harness.trace.text.rows import Row
from harness.trace.tracepoint.state_reading import Events, StateReading, decide

_COLUMNS = {"wakeups": ("time_ns", "tid"), "switches": ("time_ns", "prev_tid", "next_tid", "prev_state")}


def read_states(text: TextFile, form: LineForm, os_release: str | None, states: str | None) -> StateReading:
    """Return how to read the states of a text, as `decide` does; reads the text only as far as needed."""
    letters = _Letters()
    return decide(letters, os_release, states, _events(text, form, letters))


class _Letters:
    """Numbers for the letters of a text, because a recording has numbers for states."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def letters(self, state: int) -> str:
        """Return the letters of a number."""
        return list(self._numbers)[state]

    def number(self, letters: str) -> int:
        """Return the number of these letters."""
        return self._numbers.setdefault(letters, len(self._numbers))

    def values(self) -> Sequence[int]:
        """Return all numbers."""
        return range(len(self._numbers))


def _events(text: TextFile, form: LineForm, letters: _Letters) -> Iterator[Events]:
    reader = ScriptReader(text, Notes(), form)
    for tables in reader.read():
        events = {name: _columns(name, rows) for name, rows in tables.items() if name in _COLUMNS and rows}
        if switches := events.get("switches"):
            merged = reader.rows.merges_states
            printed = ["R+" if merged and state == "R" else state for state in switches["prev_state"]]
            switches["prev_state"] = [letters.number(state) for state in printed]
        yield events, letters.values()


def _columns(table: str, rows: list[Row]) -> dict[str, list[Any]]:
    names = SCHEMAS[table].names
    return {name: [row[names.index(name)] for row in rows] for name in _COLUMNS[table]}
