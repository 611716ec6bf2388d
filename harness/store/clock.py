"""The time as run folders write it: UTC, ISO 8601."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """Return the time, such as 2026-11-22T10:15:03.250Z."""
    return at(datetime.now(timezone.utc).timestamp())


def at(seconds: float) -> str:
    """Return a moment, given in seconds since 1970, in the same form."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def name_of_now() -> str:
    """Return the time in a form for file names that sorts by time, such as 2026-11-22T10-15-03."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
