"""Lines for a terminal: text as it is, with a style beside it and never in it."""

from __future__ import annotations

from rich.text import Text

from harness.visible import visible, visible_message


def line(*parts: str | tuple[str, str]) -> Text:
    """Join texts, or pairs of text and style, to one line; it is not wrapped, so that a path can be copied."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((visible(text), style) for text, style in pairs), no_wrap=True, overflow="ignore")


def message(text: str, style: str = "") -> Text:
    """Return a text that may have several lines, not wrapped either."""
    return Text(visible_message(text), style, no_wrap=True, overflow="ignore")
