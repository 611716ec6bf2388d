"""A number of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return `1 sample`, `2 samples`, `1,000 samples`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
