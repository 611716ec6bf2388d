"""An empty database of MLflow, made once for all tests of a process: it takes MLflow many seconds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from harness.tracking.mlflow_tracker import _make_database


def copy_to(path: Path) -> str:
    """Put one to `path` and return its address."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_made(), path)
    return f"sqlite:///{path}"


@cache
def _made() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="mlflow-")
    atexit.register(folder.cleanup)
    _make_database(Path(folder.name) / "mlflow.db")
    return Path(folder.name) / "mlflow.db"
