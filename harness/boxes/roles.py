"""The packages that roles install in a guest, from the same files that Ansible reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import paths
from harness.boxes.recipes import Recipe
from harness.loads import KINDS
from harness.loads.base import PACKAGE

RELEASES = ("debian-11", "debian-12", "debian-13", "debian-sid", "ubuntu-18.04")


def packages(recipe: Recipe) -> dict[str, list[str]]:
    """Return for every release the packages of all roles, as their packages.yml name them, loads' of others included.

    A name may be derived from the kernel; this takes the kernel that the recipe names exactly. A name that needs a
    kernel which only the finished box knows is left out. Raises SpecError with file:line for a file that is not YAML.
    """
    kernel = recipe.kernel.package.removeprefix("linux-image-")
    folders = [paths.data_dir("ansible") / "roles", *KINDS.role_folders()]
    tables = [_table(path) for folder in folders for path in sorted(folder.glob("*/packages.yml"))]
    return {release: _rendered(tables, release, kernel) for release in RELEASES}


def packages_of(roles: Iterable[str]) -> dict[str, list[str]]:
    """Return for every release the packages of some roles.

    A part of a name that follows from the kernel of the guest is KERNEL. A release that one of the roles does not
    support is left out. Raises SpecError with file:line for a file that is not YAML.
    """
    folders = KINDS.role_paths(paths.data_dir("ansible") / "roles", roles).values()
    tables = [_table(path) for folder in folders if (path := folder / "packages.yml").is_file()]
    wanted = {release: [table.get(release, table.get("default")) for table in tables] for release in RELEASES}
    return {
        release: [re.sub(r"{{.*?}}", "KERNEL", str(name)) for names in lists for name in names or ()]
        for release, lists in wanted.items()
        if None not in lists
    }


def _table(path: Path) -> dict[str, Any]:
    from harness.spec import document  # slow to import

    return document.parse(document.read_text(path), str(path), "a release or `default` -> packages").data


def _rendered(tables: list[dict[str, Any]], release: str, kernel: str) -> list[str]:
    """Return the packages of one release, each once."""
    from jinja2 import Environment, TemplateError

    environment = Environment(autoescape=False)  # a package name, not HTML
    environment.filters["regex_search"] = _regex_search
    rendered = set()
    for name in (name for table in tables for name in table.get(release, table.get("default", ()))):
        try:
            rendered.add(environment.from_string(name).render(ansible_kernel=kernel))
        except TemplateError:
            continue
    return sorted(name for name in rendered if re.fullmatch(PACKAGE, name))


def _regex_search(value: str, pattern: str) -> str:
    """Do what Ansible's filter of this name does; a mismatch ends the name, it does not make it empty."""
    from jinja2 import TemplateError

    if match := re.search(pattern, value):
        return match.group()
    raise TemplateError(f"{pattern} does not match {value}")
