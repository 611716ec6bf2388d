"""Loads of installed packages: found by their entry points, imported when asked for, and refused with their package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from installed_load import LOAD, install

from harness import spec
from harness.errors import LoadError, SpecError
from harness.guest import provision
from harness.loads import KINDS, OWN, StoredLoad
from harness.loads.kinds import Kinds
from harness.paths import data_dir

OWN_ROLES = data_dir("ansible") / "roles"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, which Python searches."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("load_"):
            del sys.modules[name]


def test_a_load_of_an_installed_package_is_one_of_the_kinds_and_is_imported_only_when_asked_for(site: Path) -> None:
    install(site, "queue", "queue")
    kinds = Kinds(OWN)
    assert list(kinds) == [*OWN, "queue"]
    assert "queue" in kinds
    assert kinds["idle"] is OWN["idle"]
    assert "load_queue" not in sys.modules
    assert kinds["queue"]().kind == "queue"
    assert "absent" not in kinds
    with pytest.raises(KeyError):
        kinds["absent"]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (
            "queue",
            "import no_such_module",
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("queue", "def Load(:", "importing it failed: SyntaxError"),
        ("queue", "", "importing it failed: AttributeError"),
        ("queue", "class Load: pass", "a subclass of harness.loads.LoadModel"),
        ("queue", LOAD.format(kind="other", roles=(), module=""), 'kind: Literal["queue"] = "queue"'),
        ("que/ue", LOAD.format(kind="que/ue", roles=(), module=""), "small letters"),
        ("queue", LOAD.format(kind="queue", roles=("absent",), module=""), "there is no role 'absent'"),
        ("idle", LOAD.format(kind="idle", roles=(), module=""), "harness has a load of this name itself"),
    ],
)
def test_one_that_cannot_be_used_is_an_error_with_its_package_and_entry_point_and_the_others_work(
    kind: str, text: str, message: str, site: Path
) -> None:
    install(site, "broken", kind, text)
    install(site, "whole", "whole")
    kinds = Kinds(OWN)
    with pytest.raises(LoadError) as caught:
        kinds[kind]
    shown = str(caught.value)
    assert shown.startswith(f"entry point {kind} = load_broken:Load of broken 1.2: the load {kind!r} cannot be used: ")
    assert message in shown
    assert "pip uninstall broken" in shown
    assert kinds["whole"]().command() == ["true"]
    assert kinds["nginx_ab"] is OWN["nginx_ab"]


def test_two_packages_with_a_load_of_one_name_are_both_named(site: Path) -> None:
    install(site, "first", "queue")
    install(site, "second", "queue")
    with pytest.raises(LoadError, match=r"of first 1\.2: .* second 1\.2 brings a load of the same name"):
        Kinds(OWN)["queue"]


def test_a_role_is_found_in_this_project_first_and_then_beside_a_load(site: Path) -> None:
    install(site, "queue", "queue", roles=("queue_tools",))
    kinds = Kinds(OWN)
    found = kinds.role_paths(OWN_ROLES, ["perf", "queue_tools", "absent"])
    assert found == {"perf": OWN_ROLES / "perf", "queue_tools": site / "roles_of_load_queue" / "queue_tools"}
    install(site, "other", "other", roles=("queue_tools",))
    with pytest.raises(LoadError, match="two installed packages bring a role 'queue_tools'"):
        Kinds(OWN).role_paths(OWN_ROLES, ["queue_tools"])


def test_a_role_with_the_name_of_one_of_this_project_is_refused(site: Path) -> None:
    install(site, "queue", "queue", roles=("nginx",))
    with pytest.raises(LoadError, match="'nginx' has the name of one of harness"):
        Kinds(OWN)["queue"]


def test_ansible_looks_for_roles_where_they_were_found(tmp_path: Path) -> None:
    roles = {"perf": tmp_path / "roles" / "perf", "queue": Path("/site/roles/queue")}
    assert provision._roles_path(tmp_path, roles) == f"{tmp_path}/roles:/site/roles"


HEAD = {"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "of_nobody", "level": 3}}


def test_a_stored_run_whose_load_is_not_installed_here_can_be_read_and_a_new_one_is_refused(tmp_path: Path) -> None:
    stored = spec.from_dict({**HEAD, "sweep": {"load.level": [3, 4]}})
    assert isinstance(stored.load, StoredLoad)
    assert spec.to_dict(stored)["load"] == HEAD["load"]
    assert spec.to_dict(spec.apply(stored, {"load.level": 4}))["load"]["level"] == 4
    (tmp_path / "e.yaml").write_text("name: x\nmachine: {box: debian-12}\nload: {kind: of_nobody}\n")
    with pytest.raises(SpecError, match="unknown load 'of_nobody'"):
        spec.load(tmp_path / "e.yaml")


def test_the_kinds_of_this_environment_are_at_least_those_of_harness() -> None:
    assert list(KINDS)[: len(OWN)] == list(OWN)
