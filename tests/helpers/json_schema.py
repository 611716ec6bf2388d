"""Says whether a value fits a JSON Schema, for the keywords that `harness schema` uses; others are an error here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),  # 5.0 is one, too, in the standard
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
WORDS = {"title", "description", "default", "discriminator", "$schema", "$defs"}


def fits(value: Any, schema: Any, root: Any) -> bool:
    """Return whether `value` fits `schema`, a part of `root`."""
    if isinstance(schema, bool):
        return schema
    return all(_keyword(name, limit, schema, value, root) for name, limit in schema.items() if name not in WORDS)


def _keyword(name: str, limit: Any, schema: Any, value: Any, root: Any) -> bool:
    number, text = TYPES["number"](value), isinstance(value, str)
    keys, items = isinstance(value, dict), isinstance(value, list)
    match name:
        case "$ref":
            return fits(value, root["$defs"][limit.rpartition("/")[2]], root)
        case "type":
            return TYPES[limit](value)
        case "enum":
            return any(value == one and type(value) is type(one) for one in limit)
        case "const":
            return bool(value == limit)
        case "anyOf":
            return any(fits(value, part, root) for part in limit)
        case "oneOf":
            return sum(fits(value, part, root) for part in limit) == 1
        case "minimum":
            return not number or value >= limit
        case "maximum":
            return not number or value <= limit
        case "exclusiveMinimum":
            return not number or value > limit
        case "multipleOf":
            return not number or value % limit == 0
        case "minItems":
            return not items or len(value) >= limit
        case "maxItems":
            return not items or len(value) <= limit
        case "uniqueItems":
            return not items or all(one not in value[:index] for index, one in enumerate(value))
        case "items":
            return not items or all(fits(one, limit, root) for one in value)
        case "prefixItems":
            return not items or all(fits(one, part, root) for one, part in zip(value, limit, strict=False))
        case "maxLength":
            return not text or len(value) <= limit
        case "pattern":
            return not text or re.search(limit, value) is not None
        case "required":
            return not keys or all(key in value for key in limit)
        case "properties":
            return not keys or all(fits(one, limit[key], root) for key, one in value.items() if key in limit)
        case "additionalProperties":
            known = schema.get("properties", {})
            return not keys or all(fits(one, limit, root) for key, one in value.items() if key not in known)
    raise AssertionError(f"the helper does not know the keyword {name!r} of JSON Schema")
