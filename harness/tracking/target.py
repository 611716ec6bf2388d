"""Where a run is sent: a kind of tracker, and its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import MissingExtraError, UsageError
from harness.extras import MODULES
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.tracker import Tracker

KINDS: dict[str, type[Tracker]] = {"mlflow": MlflowTracker}


@dataclass(frozen=True)
class Target:
    """A tracker and its address; its text is what `--track` takes, and its key in a manifest."""

    kind: str
    uri: str

    def __str__(self) -> str:
        return f"{self.kind}={self.uri}"


def parse(text: str, runs_dir: Path, option: str = "--track") -> Target:
    """Return the target that `KIND` or `KIND=URI` means.

    Raises UsageError for an unknown kind or a wrong address, and MissingExtraError if its packages are not installed.
    """
    kind, equals, uri = text.partition("=")
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else None
        raise UsageError("there is no such tracker", where=f"{option} {kind}", expected=", ".join(KINDS), hint=hint)
    if equals and not uri:
        raise UsageError("the address is empty", where=f"{option} {text}", expected=f"{kind}, or {kind}=URI")
    target = Target(kind, KINDS[kind].address(uri or None, runs_dir))
    _require_packages(target, f"{option} {kind}")
    return target


def stored(manifest: Mapping[str, Any]) -> list[Target]:
    """Return the targets that a run was sent to before."""
    pairs = [text.partition("=")[::2] for text in manifest.get("tracking", {})]
    return [Target(kind, uri) for kind, uri in pairs if kind in KINDS]


def _require_packages(target: Target, where: str) -> None:
    for module in KINDS[target.kind].modules:
        if find_spec(module) is None:
            raise MissingExtraError(*MODULES[module], where=where)
