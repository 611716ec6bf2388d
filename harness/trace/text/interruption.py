"""Lines that a warning of perf interrupts: with `2>&1` it may stand in the middle of a line, on lines of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.trace.text.lines import Line
from harness.trace.text.notes import Notes

_WARNING = b"Warning:"
_TEXT = re.compile(rb"Processed .*!|AUX data lost .*!|Found \d+ .*!|\d+ .* recorded\.")  # of its second line


def rejoined(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines; an interrupted one in one piece, after the warning, and with the number of its begin."""
    begin: Line | None = None  # of a line that ends in a warning
    notes = 0  # lines of the warning, so far
    for line in lines:
        if begin is None:
            if line.content.endswith(_WARNING) and line.content.strip() != _WARNING:
                begin, notes = line, 0
            else:
                yield line
        elif Notes().take(line.content) if notes else _TEXT.fullmatch(line.content):
            notes += 1
            yield line
        else:
            rest = begin.content.removesuffix(_WARNING) + line.content
            yield from [Line(begin.number, rest)] if notes else [begin, line]
            begin = None
    if begin:
        yield begin
