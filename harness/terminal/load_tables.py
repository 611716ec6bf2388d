"""The loads as tables for a terminal: all of them, or everything about one. Each function prints nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from harness.terminal.line import line
from harness.terminal.plain_table import plain_table
from harness.visible import visible

if TYPE_CHECKING:
    from harness.load_catalogue import LoadFacts
    from harness.loads import Limit


def list_of_loads(loads: Sequence[LoadFacts]) -> list[RenderableType]:
    """Show a line for each load; a load of another Python package than this one has that behind its name."""
    table = plain_table("load", "~what runs", "~roles", "busy CPU")
    for load in loads:
        name = load.kind if load.package == __package__.partition(".")[0] else f"{load.kind} ({load.package})"
        table.add_row(name, load.about[0], ", ".join(load.roles), "yes" if load.keeps_cpu_busy else "no")
    return [table, "harness loads NAME: its parameters, its packages, and an experiment file with it"]


def about_load(load: LoadFacts) -> list[RenderableType]:
    """Show a load: what it does, its parameters, what it needs, and when a trial of it is not usable."""
    busy = "yes: a trial in which the CPU was idle is not usable" if load.keeps_cpu_busy else "no"
    facts = plain_table("", "~")
    facts.show_header = False
    facts.add_row("keeps the CPU busy", busy)
    for limit in load.limits:
        facts.add_row("not usable", _failure(limit))
    if load.services:
        facts.add_row("services", f"{', '.join(load.services)}; they run during its trials only")
    if load.roles:
        facts.add_row("roles", ", ".join(load.roles))
    for releases, names in _by_packages(load):
        facts.add_row(f"packages{releases}", names)
    return [
        line((load.kind, "bold")),
        *(Text(visible(paragraph)) for paragraph in load.about),
        "",
        _parameters(load) if load.parameters else "no parameters",
        "",
        facts,
        "",
        f"harness loads {load.kind} --example > {load.kind}.yaml: an experiment file with all of this",
    ]


def in_yaml(value: Any) -> str:
    """Return a default as an experiment file would have it."""
    return value if isinstance(value, str) else json.dumps(value)


def _parameters(load: LoadFacts) -> RenderableType:
    table = plain_table("parameter", "default", "~value", "~meaning")
    for each in load.parameters:
        default = "required" if each.required else "" if each.default is None else in_yaml(each.default)
        table.add_row(each.path, default, f"{each.type}, {each.bounds}" if each.bounds else each.type, each.meaning)
    return table


def _by_packages(load: LoadFacts) -> list[tuple[str, str]]:
    """Return the packages with the releases that have them, which are not named where all have the same."""
    releases: dict[str, list[str]] = {}
    for release, names in load.packages.items():
        releases.setdefault(", ".join(names), []).append(release)
    one = len(releases) == 1
    return [("" if one else f", {' '.join(same)}", names) for names, same in releases.items() if names]


def _failure(limit: Limit) -> str:
    """Return what fails a limit: `requests_completed is below 1, or missing: ab reported none; see load.txt`."""
    ends = [("below", limit.at_least), ("above", limit.at_most)]
    wrong = " or ".join(f"{word} {end:g}" for word, end in ends if end is not None)
    return f"{limit.metric} is {f'{wrong}, or ' if wrong else ''}missing: {limit.why}"
