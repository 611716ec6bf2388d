"""The clock of a recording in words, in tables of the terminal, and as metadata."""

from __future__ import annotations

from typing import Any

import pytest

from harness.recorded_clock import RecordedClock
from model.data.clocks import Clock

HOST = RecordedClock()


@pytest.mark.parametrize(
    ("machine", "short", "text"),
    [
        ({}, "host", "the host's"),
        ({"clock": "host", "cpu_speed": None}, "host", "the host's"),
        (
            {"clock": "counted", "cpu_speed": 125},
            "counted 125",
            "counted: 125 instructions per microsecond (8 ns each)",
        ),
        (
            {"clock": "counted", "cpu_speed": 500},
            "counted 500",
            "counted: 500 instructions per microsecond (2 ns each)",
        ),
        ({"clock": "counted"}, "counted 125", "counted: 125 instructions per microsecond (8 ns each)"),
        ({"clock": "counted", "cpu_speed": 0}, "counted 125", "counted: 125 instructions per microsecond (8 ns each)"),
        ({"clock": None, "cpu_speed": [3]}, "host", "the host's"),
    ],
)
def test_a_clock_in_words(machine: dict[str, Any], short: str, text: str) -> None:
    clock = RecordedClock.of(machine)
    assert (clock.short, clock.text) == (short, text)
    assert RecordedClock.of(clock.about()) == clock


@pytest.mark.parametrize("machine", [{}, {"clock": "counted", "cpu_speed": 250}, {"clock": "counted"}])
def test_harness_and_model_read_the_same_clock(machine: dict[str, Any]) -> None:
    recorded, known = RecordedClock.of(machine), Clock.of(machine)
    assert (recorded.kind, recorded.cpu_speed) == (known.clock, known.cpu_speed)
    assert recorded.name.replace("\u2019", "'") == str(known)
