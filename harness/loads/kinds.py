"""The loads by kind: those of harness, and those that installed packages bring by an entry point.

A package names its load in its pyproject.toml, and harness finds it wherever it is installed beside it:

    [project.entry-points."harness.loads"]
    cyclictest = "example_load:Cyclictest"

What is installed is looked through when the first load is asked for; a package is imported when its own load is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from harness.errors import LoadError
from harness.loads.base import KIND, LoadModel
from harness.paths import data_dir

GROUP = "harness.loads"


class Kinds(Mapping[str, type[Any]]):
    """Every load by its kind. Asking for one that cannot be used raises LoadError, with the package it comes from."""

    def __init__(self, own: Mapping[str, type[Any]]) -> None:
        self._own = own
        self._loaded: dict[str, type[Any]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter([*self._own, *(kind for kind in self._installed if kind not in self._own)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, kind: object) -> bool:
        return kind in self._own or kind in self._installed  # without an import of its package

    def __getitem__(self, kind: str) -> type[Any]:
        rivals = self._installed.get(kind, [])
        if rivals and kind in self._own:
            raise _error(rivals[0], "harness has a load of this name itself", "another name")
        if len(rivals) > 1:
            raise _error(rivals[0], f"{_package(rivals[1])} brings a load of the same name", "one of them")
        if kind in self._own:
            return self._own[kind]
        if kind not in self._loaded:
            (entry,) = self._installed[kind]
            self._loaded[kind] = _load(entry)
        return self._loaded[kind]

    def package_of(self, kind: str) -> str | None:
        """Return name and version of the installed package that brings a load; None for one of harness."""
        entries = [] if kind in self._own else self._installed.get(kind, [])
        return _package(entries[0]) if entries else None

    def role_paths(self, own: Path, roles: Iterable[str]) -> dict[str, Path]:
        """Return the folder of each role: in `own`, else in that of a load of an installed package; missing if in none.

        Raises LoadError if two packages have a role of the same name.
        """
        found = {role: own / role for role in roles if (own / role).is_dir()}
        for role in (role for role in roles if role not in found):
            folders = [folder for folder in self.role_folders() if (folder / role).is_dir()]
            if len(folders) > 1:
                what = f"two installed packages bring a role {role!r}: in {folders[0]} and in {folders[1]}"
                raise LoadError(what, expected="one of them", hint="remove one of the packages, or rename its role")
            if folders:
                found[role] = folders[0] / role
        return found

    def role_folders(self) -> list[Path]:
        """Return the folders of roles of installed packages; a load that cannot be used has none."""
        folders: dict[Path, None] = {}
        for kind in self._installed:
            with suppress(LoadError):  # it is told of whoever uses it
                folders |= {Path(folder): None for folder in [self[kind].role_folder] if folder}
        return list(folders)

    @cached_property
    def _installed(self) -> dict[str, list[EntryPoint]]:
        installed: dict[str, list[EntryPoint]] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, _package(entry))):
            installed.setdefault(entry.name, []).append(entry)
        return installed


def _load(entry: EntryPoint) -> type[LoadModel]:
    """Import a load, and check what the rest of harness relies on. Raises LoadError."""
    try:
        loaded = entry.load()
    except Exception as error:
        what = f"importing it failed: {type(error).__name__}: {error}"
        raise _error(entry, what, "a module that can be imported") from error
    if not (isinstance(loaded, type) and issubclass(loaded, LoadModel)):
        raise _error(entry, f"it is {loaded!r}", "a subclass of harness.loads.LoadModel")
    expected = f'kind: Literal["{entry.name}"] = "{entry.name}"'
    kind = loaded.model_fields["kind"]
    if not re.match(KIND, entry.name):
        raise _error(entry, "its name is no name of a load", "small letters, digits and _, at most 40")
    if kind.default != entry.name or kind.annotation != Literal[entry.name]:  # type: ignore[comparison-overlap]
        raise _error(entry, "it is a load of another kind than the entry point's name", expected)
    _check_roles(entry, loaded)
    return loaded


def _check_roles(entry: EntryPoint, loaded: type[LoadModel]) -> None:
    own, folder = data_dir("ansible") / "roles", loaded.role_folder
    for role in loaded.roles:
        of_package = folder is not None and (folder / role).is_dir()
        if of_package and (own / role).is_dir():
            raise _error(entry, f"its role {role!r} has the name of one of harness", "another name")
        if not of_package and not (own / role).is_dir():
            places = f"{folder}/ or {own}/" if folder else f"{own}/; its class names no role_folder"
            raise _error(entry, f"there is no role {role!r}", f"the folder {role} in {places}")


def _error(entry: EntryPoint, what: str, expected: str) -> LoadError:
    name = f"entry point {entry.name} = {entry.value} of {_package(entry)}"
    hint = f"correct the package and install it again, or: pip uninstall {entry.dist.name}" if entry.dist else None
    return LoadError(f"the load {entry.name!r} cannot be used: {what}", where=name, expected=expected, hint=hint)


def _package(entry: EntryPoint) -> str:
    """Return name and version of the installed package that has an entry point."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
