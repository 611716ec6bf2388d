"""JSON files of a run folder, read against the types that their readers rely on.

A check takes a value and its key, and raises StoreError, whose `where` is that key, for a value of another kind. Checks
are plain functions, and not pydantic models, because `harness ls` is to start fast.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.files import open_regular

Check = Callable[[Any, str], None]
MOST_BYTES = 32 * 2**20  # more than any run writes; a file of holes could fill the memory
MAX_DEPTH = 100
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # U+DC80 to U+DCFF: Python's `surrogateescape`
LARGEST = 2.0**64  # a larger number is none that was measured, and its square might overflow


def read(path: Path, check: Check, hint: str) -> dict[str, Any]:
    """Read a file whose content is a mapping. Raises StoreError that names the file, the key, and what was found."""
    content = load(path, hint)
    require(content, check, path, hint)
    return dict(content)


def load(path: Path, hint: str) -> Any:
    """Read a file of at most MOST_BYTES. Raises StoreError that names the file and why it cannot be read."""
    try:
        with open_regular(path) as source:
            text = source.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise _damaged(path, "it is too large", f"at most {MOST_BYTES // 2**20} MiB", hint)
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _damaged(path, f"{error.msg} (line {error.lineno}, column {error.colno})", None, hint) from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error), None, hint) from None
    except RecursionError:
        raise _damaged(path, "it is nested too deeply", None, hint) from None
    except ValueError as error:  # it is not UTF-8, or holds a number of thousands of digits
        raise _damaged(path, str(error), None, hint) from None


def require(content: Any, check: Check, path: Path, hint: str) -> None:
    """Raise StoreError, which names the file and the key, unless the content passes the check."""
    try:
        check(content, "")
    except StoreError as error:
        raise _damaged(path, f"{error.where}{error.what}", error.expected, hint) from None


def wrong(key: str, value: Any, expected: str) -> StoreError:
    """Return the error of a check; `require` adds the file."""
    return StoreError(shown(value), where=f"{key or 'its content'} is ", expected=expected)


def shown(value: Any) -> str:
    """Shorten a value for a message."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return (ascii(value) if isinstance(value, str) else json.dumps(value))[:60]


def text(value: Any, key: str) -> None:
    """Accept text; half of a surrogate pair is none, unless it stands for a byte of a file name that is no UTF-8."""
    if not isinstance(value, str) or (not value.isascii() and _HALVES.search(value)):
        raise wrong(key, value, "text")


def number(value: Any, key: str) -> None:
    """Accept a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -LARGEST <= value <= LARGEST:
        raise wrong(key, value, "a finite number of at most 2^64")


def truth(value: Any, key: str) -> None:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise wrong(key, value, "true or false")


def anything(value: Any, key: str) -> None:
    """Accept every value."""


def plain(value: Any, key: str, depth: int = 0) -> None:
    """Refuse what can be parsed and not be written or shown: NaN, infinity, half characters, too many levels."""
    if depth > MAX_DEPTH:
        raise StoreError("nested too deeply", where=f"{key[:200]} is ", expected=f"at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for name, item in value.items():
            text(name, f"a key of {key}")
            if not _is_finite(item):
                plain(item, f"{key}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not _is_finite(item):  # of thousands of numbers, none needs the name of its place
                plain(item, f"{key}[{index}]", depth + 1)
    elif isinstance(value, str):
        text(value, key)
    elif isinstance(value, (int, float)) and not _is_finite(value):
        raise wrong(key, value, "a finite number")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


def pair_of(inner: Check) -> Check:
    """Accept a list of two items that `inner` accepts."""

    def check(value: Any, key: str) -> None:
        if not isinstance(value, list) or len(value) != 2:
            raise wrong(key, value, "a list of two values")
        items(inner)(value, key)

    return check


def both(first: Check, second: Check) -> Check:
    """Accept what two checks accept."""

    def check(value: Any, key: str) -> None:
        first(value, key)
        second(value, key)

    return check


def one_of(*choices: str) -> Check:
    """Accept one of these texts."""

    def check(value: Any, key: str) -> None:
        if value not in choices:
            raise wrong(key, value, f"one of: {', '.join(choices)}")

    return check


def null_or(inner: Check) -> Check:
    """Accept null, and what `inner` accepts."""

    def check(value: Any, key: str) -> None:
        if value is not None:
            inner(value, key)

    return check


def each(inner: Check) -> Check:
    """Accept a mapping each of whose values `inner` accepts."""

    def check(value: Any, key: str) -> None:
        mapping()(value, key)
        for name, item in value.items():
            text(name, f"a key of {key}")
            inner(item, f"{key}.{name}".lstrip("."))

    return check


def items(inner: Check) -> Check:
    """Accept a list each of whose items `inner` accepts."""

    def check(value: Any, key: str) -> None:
        if not isinstance(value, list):
            raise wrong(key, value, "a list")
        try:
            for item in value:
                inner(item, key)
        except StoreError:  # now that one of thousands is wrong, its place is worth a name
            for index, item in enumerate(value):
                inner(item, f"{key}[{index}]")

    return check


def mapping(required: Mapping[str, Check] | None = None, /, **optional: Check) -> Check:
    """Accept a mapping that has the `required` keys; the keys in `optional` may be absent, and others be anything."""

    def check(value: Any, key: str) -> None:
        if not isinstance(value, dict):
            raise wrong(key, value, "a mapping")
        for name, inner in {**(required or {}), **optional}.items():
            here = f"{key}.{name}".lstrip(".")
            if name in value:
                inner(value[name], here)
            elif name not in optional:
                raise StoreError("missing", where=f"{here} is ", expected=_expected(inner))

    return check


def _expected(check: Check) -> str:
    try:
        check(None, "")
    except StoreError as error:
        return error.expected or ""
    return "its value, which may be null"


def _damaged(path: Path, why: str, expected: str | None, hint: str) -> StoreError:
    return StoreError(f"{path.name} is damaged: {why}", where=str(path), expected=expected, hint=hint)
