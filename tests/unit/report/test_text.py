"""Values as text."""

from __future__ import annotations

import pytest

from harness.report import text


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
