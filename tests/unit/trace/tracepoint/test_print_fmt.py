"""Print formats are evaluated, or refused with Unprintable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.trace.tracepoint.print_fmt import Unprintable, arguments


@pytest.mark.parametrize("word", ["\u00b9", "0x", "0xg", "1a"])
def test_a_word_that_only_resembles_a_number_is_refused(word: str) -> None:
    with pytest.raises(Unprintable):
        arguments(f'"%s", {word}')


@given(st.text(max_size=80))
def test_any_print_format_is_parsed_or_refused(text: str) -> None:
    for fmt in (text, f'"%s", {text}', f'"%s", REC->prev_state {text}'):
        try:
            parsed = arguments(fmt)
        except Unprintable:
            continue
        assert isinstance(parsed, list)


@pytest.mark.parametrize("opening", ["(", "!", "-", "1 ? ", "__print_flags("])
def test_a_deeply_nested_print_format_is_refused(opening: str) -> None:
    with pytest.raises(Unprintable):
        arguments('"%s", ' + opening * 3000 + "1")
