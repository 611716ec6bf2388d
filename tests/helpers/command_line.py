"""The command `harness` as a process of its own, from the sources of this checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
LIMIT_S = 700  # only ends what would never end


def ended(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever that is."""
    command = [*HARNESS, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S)


def harness(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it to an exit code, without a traceback."""
    done = ended(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
