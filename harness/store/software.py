"""The software that a result may depend on: harness and its commit, Python, and packages."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Any

from harness.version import git, version

# The packages that a result may depend on; others do not touch the data.
PACKAGES = (
    "ansible-core", "ansible-runner", "fabric", "numpy", "pandas", "paramiko", "pyarrow", "pydantic",
    "python-vagrant", "safetensors", "scikit-learn", "scipy", "torch", "zstandard",
)  # fmt: skip
DECIDING = ("harness", "model", "vagrant", "ansible")  # a change elsewhere in the checkout changes no result


@cache
def versions() -> dict[str, Any]:
    """Return the versions of harness, of Python, and of the packages that a result may depend on.

    `commit` and `dirty` are those of the checkout that harness runs from, and null where it runs from none: `dirty`
    says whether a file of DECIDING differs from the commit.
    """
    packages = {name: number for name in PACKAGES if (number := _version(name))}
    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--", *DECIDING) if commit else None
    program = {"harness": version(), "commit": commit, "dirty": None if changes is None else bool(changes)}
    return {**program, "python": platform.python_version(), "packages": packages}


def _version(package: str) -> str | None:
    try:
        return version_of(package)
    except PackageNotFoundError:
        return None
