"""A recipe: what a guest image is made of. One YAML file each in `vagrant/boxes/`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness import paths
from harness.errors import SpecError, UsageError

# What every guest gets: an init, a way in, what Ansible needs, what a trial needs.
BASE_PACKAGES = (
    "systemd-sysv", "udev", "dbus", "kmod", "procps", "iproute2", "netbase", "ca-certificates", "openssh-server",
    "sudo", "python3", "python3-apt", "initramfs-tools",
)  # fmt: skip


class Kernel(BaseModel):
    """The kernel package, and the release (`uname -r`, a regular expression, matched whole) it must turn out to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    modules: str | None = None
    release: str

    @field_validator("release")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class Recipe(BaseModel):
    """One guest image, described. `booted_in_tests` says whether the project's own tests boot it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    distribution: Literal["debian", "ubuntu"]
    suite: str = Field(pattern=r"^[a-z]+$")
    components: tuple[str, ...]
    keyring: str = Field(pattern=r"^[A-Za-z0-9.-]+\.gpg$")
    kernel: Kernel
    packages: tuple[str, ...] = ()
    disk_gb: int = Field(ge=2, le=200)
    booted_in_tests: bool

    def all_packages(self) -> tuple[str, ...]:
        """Everything installed on top of the distribution's minimal base, in the order given."""
        kernel = (self.kernel.package, self.kernel.modules)
        return tuple(dict.fromkeys([*BASE_PACKAGES, *self.packages, *(name for name in kernel if name)]))

    def matches_kernel(self, release: str) -> bool:
        """Whether `uname -r` printed what this recipe asks for."""
        return re.fullmatch(self.kernel.release, release) is not None


def folder() -> Path:
    """Where the recipes lie."""
    return paths.data_dir("vagrant") / "boxes"


def names() -> list[str]:
    """The recipes there are, sorted."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def recipe(name: str) -> Recipe:
    """The recipe of this name. Raises UsageError naming the nearest known one, SpecError when the file is wrong."""
    path = folder() / f"{name}.yaml"
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        raise UsageError(
            f"there is no box recipe {name!r}",
            where=str(folder()),
            expected=f"one of {', '.join(names())}, or a ready-made box as NAMESPACE/NAME",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    return read(path)


def read(path: Path) -> Recipe:
    """Parse one recipe file. Raises SpecError with file:line:column."""
    tree = _parse(path)
    try:
        found = Recipe.model_validate(tree)
    except ValidationError as error:
        raise _explain(path, tree, error) from None
    if found.name != path.stem:
        line, column = _position(tree, ["name"])
        raise SpecError(
            f"the recipe calls itself {found.name!r}",
            where=f"{path}:{line}:{column}",
            expected=f"the name of its file, {path.stem!r}",
        )
    return found


def _parse(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        tree = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise SpecError(f"not valid YAML: {error.problem}", where=place) from None
    if not isinstance(tree, dict):
        raise SpecError("a recipe is a mapping of keys to values", where=f"{path}:1:1", expected="name: ...")
    return tree


def _explain(path: Path, tree: Any, error: ValidationError) -> SpecError:
    """The first thing wrong, at its place, with the nearest known key for an unknown one."""
    first = error.errors()[0]
    keys = list(first["loc"])
    line, column = _position(tree, keys)
    hint = None
    if first["type"] == "extra_forbidden":
        known = Kernel.model_fields if keys[0] == "kernel" else Recipe.model_fields
        near = difflib.get_close_matches(str(keys[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the known keys are {', '.join(known)}"
    dotted = ".".join(str(key) for key in keys)
    return SpecError(f"{dotted}: {first['msg']}", where=f"{path}:{line}:{column}", hint=hint)


def _position(tree: Any, keys: Sequence[int | str]) -> tuple[int, int]:
    """Line and column, from 1, of the deepest of `keys` that is really in the file."""
    place = (tree.lc.line, tree.lc.col)
    for key in keys:
        try:
            place = tree.lc.key(key) if isinstance(key, str) else tree.lc.item(key)
            tree = tree[key]
        except (KeyError, AttributeError, TypeError, IndexError):
            break
    return place[0] + 1, place[1] + 1
