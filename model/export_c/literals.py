"""C literals for Python values, and the C templates of this package."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from model.errors import CheckpointError

WIDTH = 110  # characters of a line of numbers


def fill(template: str, **values: object) -> str:
    """Return a template of this package with `$name` and `${NAME}` replaced. KeyError if a value is missing."""
    text = (resources.files("model.export_c") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(values).rstrip("\n")


def int_array(name: str, values: np.ndarray) -> str:
    """Return a constant array of the narrowest integer type that holds all values."""
    for kind in ("int8", "int16", "int32", "int64"):
        if values.size == 0 or (values.min() >= np.iinfo(kind).min and values.max() <= np.iinfo(kind).max):
            break
    return _array(name, f"{kind}_t", values, str)


def float_array(name: str, values: np.ndarray, kind: str = "float") -> str:
    """Return a constant array of floats or doubles, each with just enough digits to be read back exactly."""
    if not np.isfinite(values).all():
        raise CheckpointError(f"{name} holds numbers that are not finite: train again")
    return _array(name, kind, values, _float if kind == "float" else lambda value: repr(float(value)))


def string_array(name: str, values: list[str], size: str) -> str:
    """Return a constant array of strings with external linkage."""
    lines = ",\n".join(f"    {string(value)}" for value in values)
    return f"const char *const {name}[{size}] = {{\n{lines},\n}};"


def string(value: str) -> str:
    """Return a C string literal; quotes, backslashes, `?` (trigraphs) and all but plain ASCII become octal bytes."""
    data = value.encode("utf-8", "surrogateescape")
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in data)
    return f'"{"".join(plain)}"'


def comment(lines: list[str]) -> str:
    """Return the lines of a block comment; nothing in them can end it."""
    return "\n".join(f" * {line}".rstrip() for line in lines).replace("*/", "* /")


def _float(value: np.floating) -> str:
    digits = repr(np.float32(value).item()) if value == 0 else str(np.float32(value))
    return f"{digits}f"


def _array(name: str, kind: str, values: np.ndarray, show: Callable[[Any], str]) -> str:
    shape = "".join(f"[{max(size, 1)}]" for size in values.shape)
    return f"static const {kind} {name}{shape} = {_braced(values, show)};"


def _braced(values: np.ndarray, show: Callable[[Any], str]) -> str:
    if values.ndim > 1:
        return "{\n" + ",\n".join(_braced(row, show) for row in values) + ",\n}"
    numbers = ", ".join(show(value) for value in values) or "0"
    return "{\n" + textwrap.fill(numbers, WIDTH, initial_indent="    ", subsequent_indent="    ") + ",\n}"
