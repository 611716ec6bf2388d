"""The parameters of a load, as its JSON Schema has them: type, default, bounds, meaning; nested ones by their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "mapping",
}
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "maxLength": "at most {} letters",
    "pattern": "matches {}",
}
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter; `path` is that of an experiment file, such as `load.arrivals.poisson.rate_per_s`."""

    path: str
    type: str
    default: Any  # of JSON types; None where it has none, or none is needed
    required: bool
    bounds: str
    meaning: str


def parameters(model: type[BaseModel]) -> list[Parameter]:
    """Return the parameters of a load, each followed by those inside of it."""
    schema = model.model_json_schema()
    return list(_inside(schema, "load", schema.get("$defs", {})))


def _inside(schema: Schema, path: str, shared: Schema) -> Iterator[Parameter]:
    for name, field in schema.get("properties", {}).items():
        if path == "load" and name == "kind":
            continue
        kinds = [_resolved(kind, shared) for kind in _alternatives(field)]
        kinds = [kind for kind in kinds if kind.get("type") != "null"]
        here = f"{path}.{name}"
        words = list(dict.fromkeys(_type(kind, shared) for kind in kinds))
        bounds = list(dict.fromkeys(filter(None, map(_bounds, kinds))))
        meaning = field.get("description") or next((kind["description"] for kind in kinds if "description" in kind), "")
        required = name in schema.get("required", ())
        yield Parameter(here, " or ".join(words), field.get("default"), required, "; ".join(bounds), meaning)
        for kind in kinds:
            yield from _inside(kind, here, shared)


def _alternatives(field: Schema) -> list[Schema]:
    return field.get("anyOf") or field.get("oneOf") or [field]


def _resolved(field: Schema, shared: Schema) -> Schema:
    reference = str(field.get("$ref", "")).rpartition("/")[2]
    return {**shared.get(reference, {}), **field}


def _type(kind: Schema, shared: Schema) -> str:
    """Return the type of a value in words."""
    if "enum" in kind or "const" in kind:
        return "one of " + ", ".join(map(str, kind.get("enum", [kind.get("const")])))
    if kind.get("type") == "array":
        inner = kind.get("items") or {}
        of = " or ".join(_type(_resolved(each, shared), shared) for each in _alternatives(inner)) if inner else "values"
        return f"list: {of}"
    return TYPES.get(str(kind.get("type")), "any value")


def _bounds(kind: Schema) -> str:
    return ", ".join(text.format(kind[name]) for name, text in BOUNDS.items() if name in kind)
