"""The `harness` command: arguments in, one call, an exit code out. The only place that prints or exits."""

from __future__ import annotations

from harness.early_interrupt import EarlyInterrupt

with EarlyInterrupt():  # all other imports are here
    from harness.cli.main import app, main

__all__ = ["app", "main"]
