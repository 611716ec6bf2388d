"""The command `harness` in a separate process, from the sources of this checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
LIMIT_S = 700  # only for a command that would never end


def ended(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command and return its exit code and output."""
    command = [*HARNESS, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S)


def harness(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; it must end with this exit code and without a traceback."""
    done = ended(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
