"""The time as run folders write it: UTC, ISO 8601."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """Such as 2026-11-22T10:15:03.250Z."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def name_of_now() -> str:
    """Such as 2026-11-22T10-15-03: fit for a file name, sorts by time."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
