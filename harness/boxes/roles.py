"""The packages that the roles of `ansible/` install in a guest, from the same tables that Ansible reads."""

from __future__ import annotations

import re
from pathlib import Path

from harness import paths
from harness.boxes.recipes import Recipe


def packages(recipe: Recipe) -> dict[str, list[str]]:
    """Return for every release in Ansible's tables (`debian-12`) the packages of all roles.

    A table may derive a name from the kernel; this takes the kernel that the recipe names exactly. A name that needs a
    kernel which only the finished box knows is left out.
    """
    release = recipe.kernel.package.removeprefix("linux-image-")
    tables = sorted((paths.data_dir("ansible") / "roles/packages/vars").glob("*.yml"))
    return {table.stem.lower(): _of_table(table, release) for table in tables}


def _of_table(path: Path, kernel: str) -> list[str]:
    from jinja2 import Environment, TemplateError

    from harness.spec import document  # slow to import

    environment = Environment(autoescape=False)  # a package name, not HTML
    environment.filters["regex_search"] = _regex_search
    table = document.parse(document.read_text(path), str(path), "packages_of_role").data["packages_of_role"]
    names = [name for role in table.values() for name in role]
    rendered = []
    for name in names:
        try:
            rendered.append(environment.from_string(name).render(ansible_kernel=kernel))
        except TemplateError:
            continue
    return sorted(name for name in rendered if re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name))


def _regex_search(value: str, pattern: str) -> str:
    """Do what Ansible's filter of this name does; a mismatch ends the name, it does not make it empty."""
    from jinja2 import TemplateError

    if match := re.search(pattern, value):
        return match.group()
    raise TemplateError(f"{pattern} does not match {value}")
