"""The software that a result may depend on: harness and its commit, Python, and packages."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.version import __version__

# The packages that a result may depend on; others do not touch the data.
PACKAGES = (
    "ansible-core", "ansible-runner", "fabric", "numpy", "pandas", "paramiko", "pyarrow", "pydantic",
    "python-vagrant", "safetensors", "scikit-learn", "scipy", "torch", "zstandard",
)  # fmt: skip
CHECKOUT = Path(__file__).parents[2]
DECIDING = ("harness", "model", "vagrant", "ansible")  # a change elsewhere in the checkout changes no result
LIMIT_S = 30


@cache
def versions() -> dict[str, Any]:
    """Return the versions of harness, of Python, and of the packages that a result may depend on.

    `commit` and `dirty` are those of the checkout that harness runs from, and null where it runs from none: `dirty`
    says whether a file of DECIDING differs from the commit.
    """
    packages = {name: number for name in PACKAGES if (number := _version(name))}
    commit = _git(CHECKOUT, "rev-parse", "HEAD") if (CHECKOUT / ".git").exists() else None
    changes = _git(CHECKOUT, "status", "--porcelain", "--", *DECIDING) if commit else None
    program = {"harness": __version__, "commit": commit, "dirty": None if changes is None else bool(changes)}
    return {**program, "python": platform.python_version(), "packages": packages}


def _git(checkout: Path, *arguments: str) -> str | None:
    """Return what git prints about a checkout; None if there is no git, or git refuses the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ended = subprocess.run(
            ["git", "-C", str(checkout), *arguments],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
