"""Runs the command `harness` inside the test's own process, which has imported everything already."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from harness.cli import app

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]  # for tests that need a process of its own
LIMIT_S = 700  # only ends what would never end
PROGRESS = re.compile(r"^\d\d:\d\d:\d\d .*\n", re.MULTILINE)


def harness(*arguments: str | Path, code: int = 0) -> Any:
    """Run it to an exit code, without a traceback; return a result with `stdout` and `stderr`."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.stderr
    return result


def notes(result: Any) -> str:
    """What a command printed to stderr beside its progress: warnings, and the judgement of recordings."""
    return PROGRESS.sub("", result.stderr)
