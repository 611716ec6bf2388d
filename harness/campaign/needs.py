"""What a machine must have installed for its trials, from their loads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import LoadError
from harness.loads import KINDS, Load, StoredLoad
from harness.loads.base import PACKAGE, UNIT
from harness.plan import Trial

ROLES = ("perf",)  # the Ansible roles of every trial; a load adds its own


@dataclass(frozen=True)
class Needs:
    """The Ansible roles, and the variables that Ansible gets besides: there are no others."""

    roles: tuple[str, ...]
    variables: dict[str, list[str]] = field(hash=False, default_factory=dict)


def of(trials: Sequence[Trial], came_from: Mapping[str, str] | None = None) -> Needs:
    """Return what the loads of `trials` need. `came_from`: load -> the package that brought it when the run began.

    Raises LoadError for a load that is not installed here, and for a name that is none of a package or a unit.
    """
    loads = [_installed(part, came_from or {}) for trial in trials for part in trial.load.parts]
    packages = _unique(name for load in loads for name in load.packages)
    services = _unique(name for load in loads for name in load.services)
    _require(packages, PACKAGE, "a Debian package", "its name alone, such as redis-server")
    _require(services, UNIT, "a systemd unit", "a name such as nginx.service")
    variables = {"harness_packages": packages, "harness_services": services}
    roles = _unique([*ROLES, *(role for load in loads for role in load.roles)])
    return Needs(tuple(roles), {name: values for name, values in variables.items() if values})


def _installed(load: Load, came_from: Mapping[str, str]) -> Load:
    if isinstance(load, StoredLoad):
        if load.kind in KINDS:
            KINDS[load.kind]  # raises what is wrong with it
        what = f"the load {load.kind!r} of this run is not installed here"
        package = came_from.get(load.kind)
        hint = f"install {package}, which it came from" if package else "install the package that brings it"
        raise LoadError(what, expected=", ".join(KINDS), hint=hint)
    return load


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _require(names: Iterable[str], pattern: str, what: str, expected: str) -> None:
    for name in names:
        if not re.fullmatch(pattern, name):
            raise LoadError(f"a load asks for {name!r}, which is no name of {what}", expected=expected)
