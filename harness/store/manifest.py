"""manifest.json: the experiment of a run, its software and host, and the state of each step."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.errors import StoreError
from harness.store.clock import now

if TYPE_CHECKING:
    from harness.spec import Experiment

NAME = "manifest.json"
SCHEMA_VERSION = 1
STATES = ("running", "interrupted", "failed", "done")
TYPES = {"name": str, "state": str, "spec": dict, "spec_text": str, "spec_sha256": str, "steps": dict}

# The packages that a result may depend on; others do not touch the data.
PACKAGES = (
    "ansible-core", "ansible-runner", "fabric", "numpy", "pandas", "paramiko", "pyarrow", "pydantic",
    "python-vagrant", "safetensors", "scikit-learn", "scipy", "torch", "zstandard",
)  # fmt: skip


def new(name: str, experiment: Experiment, command: Sequence[str]) -> dict[str, Any]:
    """Return the manifest of a new run. `spec_text` is the file as it was read, `spec` all resolved values."""
    from harness import spec  # slow to import, and reading a manifest does not need it

    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "state": "running",
        "created": now(),
        "command": list(command),
        "spec": spec.to_dict(experiment),
        "spec_source": str(experiment.source) if experiment.source else None,
        "spec_text": experiment.text,
        "spec_sha256": text_sha256(experiment.text),
        "versions": versions(),
        "host": host_facts(),
        "box": None,
        "machine": None,
        "arms": {},
        "steps": {},
    }


def read(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run folder. Raises StoreError when it is missing, damaged or of an unknown schema."""
    path = folder / NAME
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        what = f"this is no run folder: its {NAME} cannot be read ({error.strerror or error})"
        raise StoreError(what, where=str(folder), hint="`harness ls` lists the runs") from None
    except json.JSONDecodeError as error:
        raise _damaged(f"{path}:{error.lineno}:{error.colno}", error.msg) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(str(path), str(error)) from None
    check(manifest, path)
    return dict(manifest)


def check(manifest: Any, path: Path) -> None:
    """Raise StoreError unless `manifest` has the shape this version writes."""
    if not isinstance(manifest, dict):
        raise _damaged(str(path), "it is not a JSON object")
    schema = manifest.get("schema_version")
    if schema != SCHEMA_VERSION:
        expected = f"schema_version {SCHEMA_VERSION}"
        hint = "use the version of harness that wrote it"
        raise StoreError(f"the manifest has schema_version {schema!r}", where=str(path), expected=expected, hint=hint)
    for key, kind in TYPES.items():
        if not isinstance(manifest.get(key), kind):
            raise _damaged(str(path), f"{key} is missing or not of type {kind.__name__}")
    if manifest["state"] not in STATES:
        raise _damaged(str(path), f"state is {manifest['state']!r}, not one of {', '.join(STATES)}")
    for name, step in manifest["steps"].items():
        if not _is_step(step):
            raise _damaged(str(path), f"step {name!r} is not a step, or names a file outside of the run folder")


def versions() -> dict[str, Any]:
    """Return the versions of harness, of Python, and of the packages that a result may depend on."""
    packages = {name: number for name in PACKAGES if (number := _version(name))}
    return {"harness": __version__, "python": platform.python_version(), "packages": packages}


def host_facts() -> dict[str, Any]:
    """Return CPU model, number of CPUs, memory and kernel of the host, but not its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mb": memory // 2**20,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": sys.implementation.name,
    }


def plain(value: Any) -> Any:
    """Convert `value` to JSON types: paths to text, numpy scalars to numbers, NaN and infinity to null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return plain(value.item()) if hasattr(value, "item") else str(value)


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _is_step(step: Any) -> bool:
    if not isinstance(step, dict) or not isinstance(step.get("state"), str):
        return False
    outputs = step.get("outputs")
    return isinstance(outputs, dict) and all(_is_inside(path) for path in outputs)


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return bool(path) and not pure.is_absolute() and ".." not in pure.parts


def _damaged(where: str, why: str) -> StoreError:
    return StoreError(f"the manifest is damaged: {why}", where=where, hint="restore it from a copy, or start a new run")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
