"""The steps of a run that are done, from its manifest: the usable trials of each arm, and the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Step = Mapping[str, Any]
TRIAL, MODEL = "trial:", "model:"


def usable_trials(manifest: Mapping[str, Any]) -> dict[str, dict[str, Step]]:
    """Return by arm the steps of its usable trials, by the names of these, in recording order."""
    arms: dict[str, dict[str, Step]] = {}
    for name, step in _done(manifest, TRIAL).items():
        arms.setdefault(arm_of(step), {})[name] = step
    return arms


def finished_models(manifest: Mapping[str, Any]) -> dict[str, Step]:
    """Return the steps of the models that were trained and scored, by the names of these, which are in order."""
    return _done(manifest, MODEL)


def arm_of(step: Step) -> str:
    """Return the name of the arm that a step of a trial or a model is of."""
    return str(step["detail"].get("arm", ""))


def _done(manifest: Mapping[str, Any], kind: str) -> dict[str, Step]:
    return {
        name.removeprefix(kind): step
        for name, step in sorted(manifest["steps"].items())
        if name.startswith(kind) and step["state"] == "done"
    }
