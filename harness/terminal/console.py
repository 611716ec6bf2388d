"""The console of every command: it reads no markup, no emoji code and no command to the terminal from a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.visible import visible_lines


class PlainConsole(Console):
    """Prints texts as they are. Colours come from rich's styles alone; what would hide or command is spelt out."""

    def __init__(self, stream: TextIO, width: int | None = None) -> None:
        super().__init__(file=stream, width=width, markup=False, emoji=False, highlight=False)

    def show(self, renderable: RenderableType) -> None:
        """Print a table or a text; a text that may not be wrapped stays whole, so that a path in it can be copied."""
        unbroken = isinstance(renderable, Text) and bool(renderable.no_wrap)
        self.print(renderable, soft_wrap=unbroken, crop=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield what is to be printed; only rich itself, which moves the cursor for a live bar, may command."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)
