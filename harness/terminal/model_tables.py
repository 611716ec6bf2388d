"""A stored model as tables for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType

from harness.counted import counted
from harness.recorded_clock import RecordedClock
from harness.terminal.plain_table import plain_table

LIMITS = ("max_seconds", "max_events")


def model_tables(model: Mapping[str, Any]) -> RenderableType:
    """Show what a stored model was trained on and with which settings, its layers, and what else it holds.

    `model` is what `model.contents.Contents.as_dict` returns, with the `path` of its folder.
    """
    facts = plain_table("", "~")
    facts.show_header = False
    for name, value in _facts(model).items():
        facts.add_row(name, value)
    tables: list[RenderableType] = [facts]
    if model["layers"]:
        tables += ["", _layers(model["layers"])]
    return Group(*tables, "", _parts(model["parts"], "also holds" if model["layers"] else "holds"))


def _facts(model: Mapping[str, Any]) -> dict[str, str]:
    recordings, parts = map(_recording, model["recordings"]), ("train", "validation", "test")
    shares = [f"{share:.0%} {part}" for share, part in zip(model["split"] or (), parts, strict=False)]
    facts = {
        "model": model["path"],
        "predictor": f"{model['predictor']} (inputs: {model['inputs']}; predicts: {model['mark']})",
        "settings": _settings(model["settings"]),
        "trained on": "; ".join(recordings) or ", ".join(model["trials"] or ["unknown recordings"]),
        "split": ", ".join(shares),
        "clock": RecordedClock.of(model).text,
        "vocabulary": f"{counted(len(model['vocabulary']), 'mark')}, with the one for unknown tasks",
        "size": f"{model['bytes']:,} bytes",
    }
    if model["layers"]:
        facts["parameters"] = f"{model['parameters']:,}, of which {model['trainable']:,} are trained"
    return {name: value for name, value in facts.items() if value}


def _settings(settings: Mapping[str, Any]) -> str:
    """Return the settings in words. One that is null is chosen by the data, except for limits: there is none."""
    words = {name: "without limit" if name in LIMITS else "by the data" for name in settings}
    return ", ".join(f"{name} {words[name] if value is None else value}" for name, value in settings.items()) or "none"


def _recording(one: Mapping[str, Any]) -> str:
    kernel = f"kernel {one['kernel']}" if one["kernel"] else "kernel unknown"
    return f"{one['name']} ({kernel})"


def _layers(layers: list[Mapping[str, Any]]) -> RenderableType:
    table = plain_table("layer", "kind", "weights", ">parameters")
    for layer in layers:
        shapes = ", ".join(f"{name} {'x'.join(map(str, shape)) or 1}" for name, shape in layer["shapes"].items())
        table.add_row(layer["name"], layer["kind"], shapes, f"{layer['parameters']:,}")
    return table


def _parts(parts: list[Mapping[str, Any]], heading: str) -> RenderableType:
    table = plain_table(heading, "which are", ">how many", ">numbers")
    for part in parts:
        table.add_row(part["name"], part["what"], f"{part['count']:,} {part['unit']}", f"{part['numbers']:,}")
    return table
