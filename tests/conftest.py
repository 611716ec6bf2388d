"""Settings of all tests.

Examples that hypothesis draws are the same in every run, so that a change fails for what it changes. To look further:
`HARNESS_EXPLORE=1 pytest tests/unit` draws others each time, and keeps those that fail in `.hypothesis`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# What a terminal, or a service that runs tests, says of itself: commands would be coloured or wrapped by it.
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

# How long an example takes says more about what else the machine does than about the code; the suite has its own limit.
settings.register_profile(
    "unhurried",
    deadline=None,
    derandomize=not os.environ.get("HARNESS_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("unhurried")
