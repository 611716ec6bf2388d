"""Text that anybody may have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.visible import visible, visible_lines, visible_message


@pytest.mark.slow
@given(st.text() | st.binary(max_size=15))
def test_no_name_can_hide_or_break_a_line(name: str | bytes) -> None:
    shown = visible(name)
    shown.encode("utf-8")
    assert all(character.isprintable() or character.isspace() for character in shown)
    assert not set(shown) & set("\n\r\t\0\x1b\u202e\u2066")


def test_bytes_that_are_not_utf8_are_spelt_out() -> None:
    assert visible(b"a\xff\xfeb") == r"a\xff\xfeb"
    assert visible("a\udcff") == r"a\xff"
    assert visible("\x1b[31mred\n") == r"\x1b[31mred\x0a"


def test_text_of_several_lines_keeps_its_line_feeds_only() -> None:
    assert visible_lines("a\n\tb\x07") == "a\n\tb\\x07"


@pytest.mark.parametrize("blank", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u3164", "\ufe0f", "\u00ad", "\U000e0001"])
def test_a_character_that_shows_nothing_is_spelt_out(blank: str) -> None:
    assert visible(f"a{blank}b").isascii()


def test_letters_and_emoji_stay_as_they_are() -> None:
    assert visible("grün 漢字 😄 [red]:smile: %s {x} <b>") == "grün 漢字 😄 [red]:smile: %s {x} <b>"


def test_a_further_line_of_a_message_is_indented() -> None:
    assert visible_message("name\nsound: 5 samples\n  try: it") == "name\n  sound: 5 samples\n  try: it"
