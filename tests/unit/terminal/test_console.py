"""Texts that anybody may have written, on a terminal."""

from __future__ import annotations

import io
import re

from rich.console import Group, RenderableType
from rich.text import Text

from harness.terminal.console import PlainConsole
from harness.terminal.line import line, message
from harness.terminal.plain_table import plain_table
from harness.terminal.progress import LiveView, PlainView, QuietView

HOSTILE = "[red]x[/]:smile:\n\x1b[31m\x07\x08\u202e\u200b%s{x}<b>"
SHOWN = r"[red]x[/]:smile:\x0a\x1b[31m\x07\x08\u202e\u200b%s{x}<b>"
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(renderable: RenderableType, monochrome: bool = False) -> str:
    console = PlainConsole(Terminal(), width=200)
    console.no_color = monochrome
    console.show(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_name_in_a_line_is_shown_as_it_is() -> None:
    assert STYLE.sub("", on_a_terminal(line(("damaged:", "red"), f" {HOSTILE}"))) == f"damaged: {SHOWN}\n"


def test_a_name_in_a_cell_is_shown_as_it_is() -> None:
    table = plain_table("name", ">number")
    table.add_row(HOSTILE, "1")
    assert STYLE.sub("", on_a_terminal(table)).splitlines()[1].split() == [SHOWN, "1"]


def test_a_line_feed_in_a_message_begins_no_message_of_its_own() -> None:
    assert STYLE.sub("", on_a_terminal(message("a\nsound: yes"))) == "a\n  sound: yes\n"


def test_a_text_that_nobody_made_visible_commands_nothing_either() -> None:
    for raw in (HOSTILE, Text(HOSTILE), Group(HOSTILE, Text(HOSTILE, "red"))):
        shown = STYLE.sub("", on_a_terminal(raw))
        assert "\x1b" not in shown
        assert "😄" not in shown
        assert "[red]x[/]:smile:" in shown


def test_a_long_path_is_not_broken_on_a_narrow_terminal() -> None:
    console = PlainConsole(Terminal(), width=30)
    console.show(line("report: ", "/long" * 20))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"report: {'/long' * 20}\n"


def test_every_view_of_progress_shows_a_name_as_it_is() -> None:
    for make in (PlainView, QuietView, lambda stream: LiveView(PlainConsole(stream, width=200))):
        stream = Terminal()
        view = make(stream)
        with view.step("x", f"Convert {HOSTILE}") as watcher:
            watcher.note(HOSTILE)
        view.show("warn", f"beware of {HOSTILE}")
        shown = re.sub(r"\x1b\[(\?25[lh]|[0-9]*[AK])|\r", "", STYLE.sub("", stream.getvalue()))
        assert not set(shown) & set("\x1b\x07\x08\u202e\u200b😄")
        assert "beware of [red]x[/]:smile:" in shown
