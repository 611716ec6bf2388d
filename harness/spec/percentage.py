"""A percentage as people write it: `2 %`, `2%`, `0.7 %`."""

from __future__ import annotations

import re
from decimal import Decimal

PATTERN = r"^[0-9]+(\.[0-9]+)? ?%$"


def share_of(text: str) -> float:
    """Return a percentage as the share that it is: 0.007 of `0.7 %`. Raises ValueError for other text."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError("a number such as 0.02, or a percentage such as 2 %")
    return float(Decimal(text.rstrip("% ")) / 100)
