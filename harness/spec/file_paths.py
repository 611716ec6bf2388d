"""The files that an experiment names: found by the types of its keys, made absolute, and looked for.

A relative path is relative to the experiment file, one of `--set` to the current folder.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from harness.named_files import Names
from harness.spec.check import load_kinds
from harness.spec.document import Document, Keys
from harness.spec.fields import Experiment
from harness.spec.problems import Problem, dotted

LOAD = "load"


@dataclass(frozen=True)
class NamedFile:
    """A value that names a file or a folder: the keys that lead to it, and its text."""

    keys: Keys
    text: str
    kind: str

    @property
    def name(self) -> str:
        """The keys as text, such as `machine.kernel.deb`."""
        return dotted(self.keys)


def named(values: Mapping[str, Any]) -> list[NamedFile]:
    """Return what the plain values of an experiment name, those in its sweep included; they need not be valid."""
    found = [*_in_model(values, Experiment, ()), *_in_load(values.get(LOAD), (LOAD,))]
    swept = values.get("sweep")
    for path, choices in swept.items() if isinstance(swept, Mapping) else ():
        for index, choice in enumerate(choices if isinstance(choices, list | tuple) else ()):
            found += _swept(str(path), choice, values.get(LOAD), ("sweep", path, index))
    return list(dict.fromkeys(found))


def replaced(values: dict[str, Any], paths: Mapping[Keys, str]) -> dict[str, Any]:
    """Return plain values with other texts at some keys."""
    result = _copied(values)
    for keys, text in paths.items():
        section: Any = result
        for key in keys[:-1]:
            section = section[key]
        section[keys[-1]] = text
    return result


def resolve(document: Document, folder: Path | None) -> list[Problem]:
    """Make the paths in a document absolute; return a problem for each that names nothing.

    They begin at `folder`. With None it is the experiment of a run, whose paths are absolute, and whose files may be
    gone: then only those of the command line are looked for.
    """
    problems, paths = [], {}
    for one in named(document.data):
        if not one.text:
            continue  # too short for the type
        start = Path() if document.position(one.keys).startswith("--") else folder
        if start is None:
            continue
        path = Path(os.path.abspath(start / os.path.expanduser(one.text)))
        paths[one.keys] = str(path)
        if not _exists(path, one.kind):
            problems.append(Problem(one.keys, *_missing(one, path)))
    document.data = replaced(document.data, paths)
    return problems


def _exists(path: Path, kind: str) -> bool:
    is_there = path.is_dir() if kind == "folder" else path.is_file()
    return is_there and os.access(path, os.R_OK)


def _missing(one: NamedFile, path: Path) -> tuple[str, str, str | None]:
    """Return what is wrong, what was expected, and a near name."""
    expected = f"a {one.kind}; a relative path begins at the folder of the experiment file"
    if os.path.lexists(path):
        is_readable = os.access(path, os.R_OK)
        return f"{one.name}: {path} " + (f"is no {one.kind}" if is_readable else "cannot be read"), expected, None
    if not path.parent.is_dir():
        return f"{one.name}: there is no folder {path.parent}", expected, None
    near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    return f"{one.name}: there is no {path}", expected, f"did you mean {near[0]!r}?" if near else None


def _swept(path: str, choice: Any, load: Any, keys: Keys) -> Iterator[NamedFile]:
    """Yield what one value of a sweep names; where the load is swept too, any load may be the one meant."""
    section, _, key = path.partition(".")
    kind = load.get("kind") if isinstance(load, Mapping) else None
    kinds = load_kinds()
    loads = [kinds[kind]] if isinstance(kind, str) and kind in kinds else [*kinds.values()]
    for model in loads if section == LOAD else _leaves_of(Experiment, section):
        yield from _in_value(choice, _leaves_of(model, key), keys)


def _in_load(load: Any, keys: Keys) -> Iterator[NamedFile]:
    kind = load.get("kind") if isinstance(load, Mapping) else None
    if isinstance(kind, str) and kind in load_kinds():
        yield from _in_model(load, load_kinds()[kind], keys)


def _in_model(values: Mapping[str, Any], model: type[BaseModel], keys: Keys) -> Iterator[NamedFile]:
    for name in model.model_fields:
        if name in values:
            yield from _in_value(values[name], _leaves_of(model, name), (*keys, name))


def _in_value(value: Any, leaves: list[Any], keys: Keys) -> Iterator[NamedFile]:
    if isinstance(value, str):
        yield from (NamedFile(keys, value, leaf.kind) for leaf in leaves if isinstance(leaf, Names))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _in_value(item, leaves, (*keys, index))
    elif isinstance(value, Mapping):
        for leaf in leaves:
            if isinstance(leaf, type) and issubclass(leaf, BaseModel):
                yield from _in_model(value, leaf, keys)
        if keys != (LOAD,):
            yield from _in_load(value, keys)  # a load within a load


def _leaves_of(model: Any, name: str) -> list[Any]:
    """Return the models and marks in the type of a field; none for a field that the model lacks."""
    field = getattr(model, "model_fields", {}).get(name)
    return _leaves(field.annotation, field.metadata) if field else []


def _leaves(annotation: Any, marks: Iterable[Any] = ()) -> list[Any]:
    if own := [mark for mark in marks if isinstance(mark, Names)]:
        return own
    if get_origin(annotation) is Annotated:
        return _leaves(annotation.__origin__, annotation.__metadata__)
    return [leaf for part in get_args(annotation) for leaf in _leaves(part)] or [annotation]


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list | tuple) else value
