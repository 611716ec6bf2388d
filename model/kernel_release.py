"""Which scheduler a kernel has, by its release."""

from __future__ import annotations

import re

Release = tuple[int, int]  # major and minor: (6, 12) for 6.12.117-cloud-amd64

EEVDF_SINCE: Release = (6, 6)


def parse(release: str) -> Release | None:
    """Return major and minor release of `uname -r`; None if the text does not begin with them."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else None


def misfit(kind: str, release: Release) -> str | None:
    """Return why the predictor named `kind` cannot replay a kernel of this release; None if it can, or replays none."""
    if kind == "cfs_replay" and release >= EEVDF_SINCE:
        return "has EEVDF (Linux 6.6 and later), which eevdf_replay replays"
    if kind == "eevdf_replay" and release < EEVDF_SINCE:
        return "has CFS (before Linux 6.6), which cfs_replay replays"
    return None
