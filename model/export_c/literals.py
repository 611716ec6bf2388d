"""Python values as C: arrays, names, and the templates they are put into."""

from __future__ import annotations

import json
import textwrap
from importlib import resources
from string import Template

import numpy as np

from model.errors import CheckpointError

WIDTH = 110  # characters of a line of numbers


def filled(template: str, **values: object) -> str:
    """The text of a template in this package, `$name` and `${NAME}` replaced; KeyError where a value is missing."""
    text = (resources.files("model.export_c") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(values).rstrip("\n")


def whole(name: str, values: np.ndarray) -> str:
    """A constant array of the narrowest type that holds all values."""
    for kind in ("int8", "int16", "int32", "int64"):
        if values.size == 0 or (values.min() >= np.iinfo(kind).min and values.max() <= np.iinfo(kind).max):
            break
    return _array(name, f"{kind}_t", values, str)


def real(name: str, values: np.ndarray, kind: str = "float") -> str:
    """A constant array of floats or doubles, each with as many digits as tell it from its neighbours."""
    if not np.isfinite(values).all():
        raise CheckpointError(f"{name} holds numbers that are not finite: train again")
    return _array(name, kind, values, _float if kind == "float" else lambda value: repr(float(value)))


def strings(name: str, values: list[str], size: str) -> str:
    """A constant array of texts that others may see."""
    lines = ",\n".join(f"    {text(value)}" for value in values)
    return f"const char *const {name}[{size}] = {{\n{lines},\n}};"


def text(value: str) -> str:
    """A C string literal; what is not plain ASCII, and the start of a trigraph, goes in as octal bytes."""
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in _bytes(value))
    return f'"{"".join(plain)}"'


def comment(lines: list[str]) -> str:
    """Lines of a block comment; nothing in them can end it."""
    return "\n".join(f" * {line}".rstrip() for line in lines).replace("*/", "* /")


def quoted(value: str) -> str:
    """A text inside a comment, on one line whatever it holds."""
    return json.dumps(value)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _float(value: np.floating) -> str:
    digits = repr(np.float32(value).item()) if value == 0 else str(np.float32(value))
    return f"{digits}f"


def _array(name: str, kind: str, values: np.ndarray, show: object) -> str:
    shape = "".join(f"[{max(size, 1)}]" for size in values.shape)
    return f"static const {kind} {name}{shape} = {_braced(values, show)};"


def _braced(values: np.ndarray, show: object) -> str:
    if values.ndim > 1:
        return "{\n" + ",\n".join(_braced(row, show) for row in values) + ",\n}"
    numbers = ", ".join(show(value) for value in values) or "0"  # type: ignore[operator]
    return "{\n" + textwrap.fill(numbers, WIDTH, initial_indent="    ", subsequent_indent="    ") + ",\n}"
