"""The problems of a file's values, turned into messages that say what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from harness.errors import SpecError
from harness.spec.document import Document, Keys, kind_of, printable

SYSCTLS = "machine.sysctl"
WRONG_KEY = "[key]"  # the end of pydantic's path to a key that is wrong itself
MOST = 20  # problems of one file that are shown
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "too_short": "a list of at least one value",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
OPENINGS = {
    "Input should be ": "",
    "Value error, ": "",
    "String should match pattern": "text that matches",
    "String should have": "text of",
    "Tuple should have": "a list of",
}


@dataclass(frozen=True)
class Problem:
    """One problem at `path`; `on_key` if the key itself is wrong rather than its value."""

    path: Keys
    what: str
    expected: str | None = None
    hint: str | None = None
    on_key: bool = False


class SpecProblems(SpecError):
    """Several problems of one file; the attributes are those of the first, the text lists the first MOST."""

    def __init__(self, problems: Sequence[SpecError]) -> None:
        first = problems[0]
        super().__init__(first.what, where=first.where, expected=first.expected, hint=first.hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        rest = [f"... and more: these are the first {MOST} problems"] if len(self.problems) > MOST else []
        return "\n".join([*map(str, self.problems[:MOST]), *rest])


def as_error(problems: Iterable[Problem], document: Document) -> SpecError:
    """Make the error to raise for `problems`, in the order of their positions in the file."""
    errors: dict[str, SpecError] = {}
    for problem in problems:
        where = document.position(problem.path, key=problem.on_key)
        error = SpecError(problem.what, where=where, expected=problem.expected, hint=problem.hint)
        errors.setdefault(str(error), error)
    ordered = sorted(errors.values(), key=lambda error: _order(error.where or ""))
    return ordered[0] if len(ordered) == 1 else SpecProblems(ordered)


def unknown(path: Keys, what: str, name: str, known: Collection[str], elsewhere: Collection[str] = ()) -> Problem:
    """Report that `name` is not among `known`; suggest the nearest, also of `elsewhere` (paths of other sections)."""
    misplaced = [path for path in elsewhere if path.rpartition(".")[2] == name]
    near = misplaced or get_close_matches(name, list(known), n=1, cutoff=0.5) or _same_leaf(name, elsewhere)
    expected = f"one of: {', '.join(sorted(known))}" if known else None
    return Problem(path, f"unknown {what} {shown(name)}", expected, f"did you mean {near[0]!r}?" if near else None)


def from_pydantic(error: ValidationError, prefix: Keys, keys_at: Callable[[Keys], dict[str, str]]) -> list[Problem]:
    """Turn pydantic's errors into problems. `keys_at(path)` returns the known keys of a section and their meanings.

    The first MOST say what was expected instead, which takes time.
    """
    problems: list[Problem] = []
    details = error.errors(include_url=False)
    wrong_items = {detail["loc"][:-1] for detail in details if detail["loc"]}
    for detail in details:
        if detail["type"] == "too_short" and detail["loc"] in wrong_items:
            continue  # its items are wrong, and not its length
        path, meanings = (*prefix, *detail["loc"]), keys_at if len(problems) < MOST else _none
        problems.append(_problem(path, detail["type"], detail["msg"], detail["input"], meanings))
    return problems


def dotted(path: Keys) -> str:
    """Write a path as text: ("model", "seeds", 0) -> model.seeds[0]."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{printable(key)}" for key in path)
    return text.removeprefix(".")


def keys_of(path: str) -> Keys:
    """Split a dotted path into its keys; the name of a sysctl, which is one key, has dots of its own.

    A number is an index, as in `load.parts.0.concurrency`.
    """
    section, dot, name = path.partition(f"{SYSCTLS}.")
    if dot and not section and name:
        return (*SYSCTLS.split("."), name)
    return tuple(int(key) if key.isascii() and key.isdecimal() else key for key in path.split("."))


def shown(value: Any) -> str:
    """Shorten a value for a message."""
    if isinstance(value, dict) or value is None:
        return kind_of(value)
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _problem(path: Keys, kind: str, message: str, value: Any, keys_at: Callable[[Keys], dict[str, str]]) -> Problem:
    if path[-1:] == (WRONG_KEY,):
        return Problem(path[:-1], f"{dotted(path[:-1])} is refused", _plain(message), on_key=True)
    parent = path[:-1]
    if kind == "extra_forbidden":
        what = f"key in {dotted(parent)}:" if parent else "key"
        problem = unknown(path, what, str(path[-1]), keys_at(parent), _all_paths(keys_at))
        return replace(problem, on_key=True)
    if kind in ("missing", "too_long") and path and (isinstance(path[-1], int) or kind == "too_long"):
        whole = parent if kind == "missing" else path
        return Problem(
            whole,
            f"{dotted(whole)} has too {'few' if kind == 'missing' else 'many'} values",
            keys_at(whole[:-1]).get(str(whole[-1])),
        )
    if kind == "missing":
        meaning = keys_at(parent).get(str(path[-1])) if path else None
        what = f"{dotted(path)} is missing"
        return Problem(parent, what, meaning, on_key=bool(parent))
    return Problem(path, f"{dotted(path)} is {shown(value)}", EXPECTED.get(kind) or _plain(message))


def _none(path: Keys) -> dict[str, str]:
    return {}


def _plain(message: str) -> str:
    """Remove the opening of pydantic's sentence."""
    for opening, plain in OPENINGS.items():
        message = message.replace(opening, plain, 1)
    return message


def _all_paths(keys_at: Callable[[Keys], dict[str, str]]) -> list[str]:
    return [f"{section}.{key}" for section in keys_at(()) for key in keys_at((section,))]


def _same_leaf(name: str, paths: Collection[str]) -> list[str]:
    leaves = {path.rpartition(".")[2]: path for path in paths}
    return [leaves[leaf] for leaf in get_close_matches(name, list(leaves), n=1, cutoff=0.8)]


def _order(where: str) -> tuple[int, ...]:
    """Return line and column for sorting; positions on the command line come last."""
    parts = where.rsplit(":", 2)[1:]
    return tuple(int(part) for part in parts) if len(parts) == 2 and all(map(str.isdecimal, parts)) else (2**31,)
