"""Values as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import text


@pytest.mark.slow
@given(st.text() | st.binary(max_size=15))
def test_no_name_can_hide_or_break_the_page(name: str | bytes) -> None:
    shown = text.visible(name)
    shown.encode("utf-8")
    assert all(character.isprintable() or character.isspace() for character in shown)
    assert not set(shown) & set("\n\r\t\0\x1b\u202e\u2066")


def test_bytes_that_are_not_utf8_are_spelt_out() -> None:
    assert text.visible(b"a\xff\xfeb") == r"a\xff\xfeb"
    assert text.visible("a\udcff") == r"a\xff"
    assert text.visible("\x1b[31mred\n") == r"\x1b[31mred\x0a"


def test_text_of_several_lines_keeps_its_line_feeds_only() -> None:
    assert text.visible_lines("a\n\tb\x07") == "a\n\tb\\x07"


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (None, text.NO_VALUE),
        (0, "0 ns"),
        (840, "840 ns"),
        (999.6, "1.00 µs"),
        (12_340, "12.3 µs"),
        (1_250_000, "1.25 ms"),
        (2e9, "2.00 s"),
    ],
)
def test_durations_take_the_unit_that_reads_best(ns: float | None, shown: str) -> None:
    assert text.duration(ns).replace("\u202f", " ") == shown


def test_seconds_become_minutes_when_they_are_many() -> None:
    assert text.seconds(0.4).replace("\u202f", " ") == "0.40 s"
    assert text.seconds(245.2).replace("\u202f", " ") == "4 min 05 s"


def test_a_missing_or_infinite_number_is_none() -> None:
    assert [text.number(value) for value in (None, True, "3", float("nan"), float("inf"), 3)] == [None] * 5 + [3.0]


def test_scalars_of_checks_read_plainly() -> None:
    shown = [text.plain(value) for value in (True, None, 1_000_000, 0.98123, "6.1.0-40")]
    assert shown == ["yes", text.NO_VALUE, "1\u202f000\u202f000", "0.9812", "6.1.0-40"]


def test_negative_values_have_the_same_sign_everywhere() -> None:
    assert text.points(-0.021) == "\u22122.1"
    assert text.percent(-2.509) == "\u2212250.9\u202f%"
    assert text.percent_range(-2.706, -0.01) == "\u2212270.6 to \u22121.0\u202f%"
