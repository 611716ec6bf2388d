"""The extras of this project: which modules come with one of them, and the command that installs it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

DISTRIBUTION = "sched-harness"
CHECKOUT = Path(__file__).parents[1]
MODULES = {  # module: (extra, package)
    "ansible_runner": ("run", "ansible-runner"),
    "fabric": ("run", "fabric"),
    "invoke": ("run", "fabric"),
    "paramiko": ("run", "fabric"),
    "tenacity": ("run", "tenacity"),
    "vagrant": ("run", "python-vagrant"),
    "sklearn": ("model", "scikit-learn"),
    "torch": ("model", "torch"),
    "graphviz": ("graph", "graphviz"),
    "torchview": ("graph", "torchview"),
    "lightgbm": ("boosting", "lightgbm"),
    "perfetto": ("perfetto", "perfetto"),
    "duckdb": ("query", "duckdb"),
    "alembic": ("tracking", "alembic"),
    "mlflow": ("tracking", "mlflow-skinny"),
    "sqlalchemy": ("tracking", "sqlalchemy"),
}
EXTRA_OF = {package: extra for extra, package in MODULES.values()}


def install_command(extra: str) -> str:
    """Return the command that installs an extra beside the harness that runs: no index is asked for this project."""
    pip = [sys.executable, "-m", "pip", "install"]
    if (CHECKOUT / "pyproject.toml").is_file():
        return shlex.join([*pip, "-e", f"{CHECKOUT}[{extra}]"])
    return shlex.join([*pip, *requirements(extra)])


def requirements(extra: str) -> list[str]:
    """Return what an extra brings, as the installed wheel names it."""
    from importlib.metadata import requires  # takes as long as all of this module

    pairs = [text.partition(";")[::2] for text in requires(DISTRIBUTION) or []]
    return [package.strip() for package, marker in pairs if marker.strip() == f"extra == {extra!r}"]
