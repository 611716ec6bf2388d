"""What makes a recording not whole is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.trace.quality import TraceQuality, damage

WHOLE = TraceQuality(1, 0, 0, 0, truncated=False, killed=False, span_ns=0, clock="perf", cpus=(0,), decode_errors=0)


def test_of_a_whole_recording_nothing_is_said() -> None:
    assert WHOLE.whole
    assert damage(WHOLE) == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lost_events": 1}, "1 event lost"),
        ({"lost_chunks": 2}, "2 gaps where events were lost"),
        ({"chain_breaks": 1}, "1 break in the chain of switches"),
        ({"truncated": True}, "cut"),
        ({"unread_bytes": 2000}, "2,000 bytes not read"),
        ({"killed": True}, "the recorder was killed"),
        ({"decode_errors": 1}, "1 sample cannot be decoded"),
        ({"empty": True}, "no scheduler events"),
        ({"run_times": False, "scope": "some tasks"}, "only the switches of some tasks recorded"),
        ({"run_times": False, "sampled": True}, "only a sample of the events recorded"),
        ({"run_times": False, "unrecorded": ("switches",)}, "no switches recorded"),
    ],
    ids=str,
)
def test_every_damage_is_said(fields: dict[str, Any], said: str) -> None:
    quality = replace(WHOLE, **fields)
    assert not quality.whole
    assert damage(quality) == said


@pytest.mark.parametrize("fields", [{"inversions": 3}, {"doubled": 3}, {"unknown_records": 3}, {"run_queues": False}])
def test_what_loses_nothing_is_no_damage(fields: dict[str, Any]) -> None:
    quality = replace(WHOLE, **fields)
    assert quality.whole
    assert damage(quality) == ""
