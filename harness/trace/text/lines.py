"""The lines of a text, one after the other, without what other systems add to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from harness.errors import TraceError
from harness.files import open_regular
from harness.trace.text.wrong_file import refuse_other_files

_LONGEST = 1 << 20  # bytes; a line of `perf sched map` has 4 for each CPU, or 14 with colours
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end, and its number from 1."""

    number: int
    content: bytes


@dataclass
class TextFile:
    """A text on disk, which can be read more than once.

    After a reading, `cut_at` is the line of what has no end at the end of the text, or 0. It is left out.
    """

    path: Path
    on_progress: Callable[[int, int], None] | None = None
    cut_at: int = 0

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines. Raises TraceError for a file that cannot be read or is no text."""
        try:
            with open_regular(self.path) as file:
                yield from self._lines(file)
        except OSError as error:
            raise TraceError(
                f"cannot read the text: {error.strerror or error}",
                where=str(self.path),
                expected="a regular file that you may read",
            ) from error

    def where(self, number: int) -> str:
        """Return the place of a line, for an error."""
        return f"{self.path}:{number}"

    def _lines(self, file: BinaryIO) -> Iterator[Line]:
        size, start = self.path.stat().st_size, file.read(1 << 16)
        refuse_other_files(self.path, file, start)
        ends = start.count(b"\n")
        has_returns = 0 < ends == start.count(b"\r\n")
        file.seek(len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0)
        number, self.cut_at = 0, 0
        while content := file.readline(_LONGEST):
            number += 1
            if not content.endswith(b"\n"):
                self._note_cut(number, content)
                return
            if self.on_progress and not number % 10_000:
                self.on_progress(file.tell(), size)
            yield Line(number, content[: -2 if has_returns and content.endswith(b"\r\n") else -1])

    def _note_cut(self, number: int, content: bytes) -> None:
        if len(content) == _LONGEST:
            raise TraceError(
                f"this line has more than {_LONGEST} bytes",
                where=self.where(number),
                expected="the lines that perf prints",
                hint="print the text again",
            )
        self.cut_at = number
