"""What a machine must have installed for its trials: roles, packages by name, and the servers' units."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from harness import plan, spec
from harness.campaign import needs
from harness.errors import LoadError
from harness.loads import LoadModel
from harness.plan import Trial

BASE = {"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}}
ABSENT = {"kind": "of_nobody", "level": 3}
(TRIAL,) = plan.trials(spec.from_dict({**BASE, "trials": {"repeat": 1}}))


class Server(LoadModel):
    kind: str = "server"
    roles = ("nginx", "perf")
    services = ("nginx.service",)
    wanted: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        return self.wanted


def trial_of(*parts: Any) -> Trial:
    return replace(TRIAL, load=SimpleNamespace(parts=parts))


def test_the_parts_of_all_trials_are_installed_together_and_each_thing_once() -> None:
    first = trial_of(Server(wanted=("g++", "redis-server")), Server(wanted=("curl",)))
    needed = needs.of([TRIAL, first, trial_of(Server(wanted=("curl",)))])
    assert needed.roles == ("perf", "nginx")
    assert needed.variables == {
        "harness_packages": ["g++", "redis-server", "curl"],
        "harness_services": ["nginx.service"],
    }


def test_a_load_without_packages_and_servers_gives_ansible_its_roles_alone() -> None:
    assert needs.of([TRIAL]) == needs.Needs(("perf",), {})


@pytest.mark.parametrize("name", ["redis-", "./evil.deb", "curl=1.0", "a", "Curl", "curl; reboot", "curl\n", "-y", ""])
def test_what_is_no_name_of_a_package_never_reaches_apt(name: str) -> None:
    with pytest.raises(LoadError, match="no name of a Debian package"):
        needs.of([trial_of(Server(wanted=(name,)))])


@pytest.mark.parametrize("name", ["nginx", "nginx.service; reboot", "--now.service", "../x.service"])
def test_what_is_no_name_of_a_unit_never_reaches_systemd(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "services", (name,))
    with pytest.raises(LoadError, match="no name of a systemd unit"):
        needs.of([trial_of(Server())])


@pytest.mark.parametrize("load", [ABSENT, {"kind": "mix", "parts": [{"kind": "idle"}, ABSENT]}], ids=["alone", "mixed"])
def test_a_stored_run_whose_load_is_not_installed_here_cannot_go_on(load: dict[str, Any]) -> None:
    stored = plan.trials(spec.from_dict({**BASE, "load": load}))
    with pytest.raises(LoadError, match="the load 'of_nobody' of this run is not installed here"):
        needs.of(stored)
