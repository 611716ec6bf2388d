"""Numbers of things in messages."""

from __future__ import annotations

import pytest

from harness.counted import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 samples"), (1, "1 sample"), (2, "2 samples"), (1234567, "1,234,567 samples")]
)
def test_only_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "sample") == text
