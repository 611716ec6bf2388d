"""An example of a load: an instance with its defaults, and an experiment file around it that runs as it stands."""

from __future__ import annotations

import inspect
import io
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from harness.loads.base import parameters_of

WIDTH = 110
FILE = """\
# yaml-language-server: $schema=experiment.schema.json
{about}
#
#     harness run {path}
#
# docs/experiment-file.md explains every key, and gives the defaults of those that are not here.
name: {kind}
question: How predictable is the scheduler under the load {kind}?

machine:
  box: debian-12

load:
  kind: {kind}
{parameters}
record:
  seconds: 50

trials:
  repeat: 3

model:
  predictors: [most_frequent, markov, slice_markov]
  seeds: [0]
"""


def example_of(model: type[BaseModel]) -> Any:
    """Return an instance of a load: every parameter at its default, one without a default at its first example."""
    return model.model_validate_json(json.dumps(_required(model)))


def experiment_file(kind: str, model: type[BaseModel], path: str) -> str:
    """Return the text of an experiment file with this load, each of its parameters explained."""
    paragraphs = inspect.cleandoc(model.__doc__ or "").split("\n\n")
    about = "\n#\n".join("\n".join(_comment(paragraph, "")) for paragraph in paragraphs)
    return FILE.format(about=about, path=path, kind=kind, parameters="".join(_parameters(model)))


def _required(model: type[BaseModel]) -> dict[str, Any]:
    required = {name: field for name, field in parameters_of(model).items() if field.is_required()}
    return {name: (field.examples or [None])[0] for name, field in required.items()}


def _parameters(model: type[BaseModel]) -> Iterator[str]:
    """Yield the lines of each parameter: its value, and what it means, behind it or where this is long above it."""
    values = {**example_of(model).model_dump(mode="json"), **_required(model)}
    for name, value in values.items():
        if name == "kind":
            continue
        entry = textwrap.indent(_entry(name, value), "  ")
        meaning = " ".join((parameters_of(model)[name].description or "").split())
        if entry.count("\n") == 1 and len(entry) + len(meaning) + 3 <= WIDTH:
            yield f"{entry.rstrip()}   # {meaning}\n" if meaning else entry
        else:
            yield "".join(f"{line}\n" for line in _comment(meaning, "  ")) + entry


def _comment(text: str, indent: str) -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _entry(name: str, value: Any) -> str:
    """Return a key and its value: a script as it is read, mappings and lists in one line where they fit.

    Mappings in a list begin a line each.
    """
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = (textwrap.indent(_yaml(item, flow=True), "    ").lstrip() for item in value)
        return f"{name}:\n" + "".join(f"  - {item}" for item in items)
    if value is None:
        return f"{name}: null\n"
    if isinstance(value, dict | list):
        return f"{name}: {textwrap.indent(_yaml(value, flow=True), '  ').lstrip()}"
    return _yaml({name: LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value}, flow=False)


def _yaml(value: Any, *, flow: bool) -> str:
    stream, writer = io.StringIO(), YAML()
    writer.default_flow_style, writer.width = flow, WIDTH - 10
    writer.dump(value, stream)
    return stream.getvalue()
