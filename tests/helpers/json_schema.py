"""Says whether a value fits a JSON Schema, for the keywords that `harness schema` uses; others are an error here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Value = Any
TYPES: dict[str, Callable[[Value], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),  # 5.0 is one, too, in the standard
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
LIMITS: dict[str, tuple[str, Callable[[Value, Any], bool]]] = {  # keyword -> the type it is about, and its test
    "minimum": ("number", lambda value, limit: value >= limit),
    "maximum": ("number", lambda value, limit: value <= limit),
    "exclusiveMinimum": ("number", lambda value, limit: value > limit),
    "exclusiveMaximum": ("number", lambda value, limit: value < limit),
    "multipleOf": ("number", lambda value, limit: value % limit == 0),
    "minItems": ("array", lambda value, limit: len(value) >= limit),
    "maxItems": ("array", lambda value, limit: len(value) <= limit),
    "uniqueItems": ("array", lambda value, limit: all(one not in value[:at] for at, one in enumerate(value))),
    "minLength": ("string", lambda value, limit: len(value) >= limit),
    "maxLength": ("string", lambda value, limit: len(value) <= limit),
    "pattern": ("string", lambda value, limit: re.search(limit, value) is not None),
    "maxProperties": ("object", lambda value, limit: len(value) <= limit),
    "required": ("object", lambda value, limit: set(limit) <= set(value)),
}
PLAIN: dict[str, Callable[[Value, Any], bool]] = {
    "type": lambda value, limit: TYPES[limit](value),
    "enum": lambda value, limit: any(value == one and type(value) is type(one) for one in limit),
    "const": lambda value, limit: value == limit,
}
NESTED = {
    "$ref",
    "anyOf",
    "oneOf",
    "items",
    "prefixItems",
    "properties",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
}
WORDS = {"title", "description", "default", "examples", "discriminator", "$schema", "$id", "$defs"}


def fits(value: Value, schema: Any, root: Any) -> bool:
    """Return whether `value` fits `schema`, a part of `root`."""
    if isinstance(schema, bool):
        return schema
    unknown = set(schema) - {*LIMITS, *PLAIN, *NESTED, *WORDS}
    assert not unknown, f"the helper does not know these keywords of JSON Schema: {unknown}"
    plain = all(test(value, schema[name]) for name, test in PLAIN.items() if name in schema)
    limits = all(
        test(value, schema[name]) for name, (kind, test) in LIMITS.items() if name in schema and TYPES[kind](value)
    )
    return plain and limits and _choices_fit(value, schema, root) and _parts_fit(value, schema, root)


def _choices_fit(value: Value, schema: Any, root: Any) -> bool:
    if "$ref" in schema and not fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root):
        return False
    if "anyOf" in schema and not any(fits(value, part, root) for part in schema["anyOf"]):
        return False
    return "oneOf" not in schema or sum(fits(value, part, root) for part in schema["oneOf"]) == 1


def _parts_fit(value: Value, schema: Any, root: Any) -> bool:
    if isinstance(value, dict):
        if not all(fits(key, schema.get("propertyNames", True), root) for key in value):
            return False
        return all(all(fits(one, part, root) for part in _parts_of(key, schema)) for key, one in value.items())
    if isinstance(value, list):
        first, other = schema.get("prefixItems", []), schema.get("items", True)
        return all(fits(one, first[at] if at < len(first) else other, root) for at, one in enumerate(value))
    return True


def _parts_of(key: str, schema: Any) -> list[Any]:
    """Return the schemas of one key of an object: those that name it, else that of all others."""
    parts = [schema["properties"][key]] if key in schema.get("properties", {}) else []
    parts += [part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    return parts or [schema.get("additionalProperties", True)]
