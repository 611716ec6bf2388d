"""The cache of provisioned machines: its key, and that nothing half-made or changed is taken for a machine."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from boxes_on_disk import ROLES, forge_box, forge_provisioned, provisioning

from harness import paths
from harness.boxes import Box, cache, provisioned
from harness.errors import DamagedBoxError, HostError
from harness.loads.kinds import Kinds

KEY = ("base", ROLES)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return forge_box(cache.root())


def test_a_machine_is_found_again_as_it_was_kept(box: Box) -> None:
    kept = forge_provisioned(box)
    assert provisioned.find(provisioned.key(box.digest, ROLES)) == kept
    assert kept.provisioning == provisioning(box)
    assert (kept.name, kept.base_digest, kept.kernel) == (box.name, box.digest, box.kernel)


def test_no_machine_is_found_where_none_was_kept(box: Box) -> None:
    assert provisioned.find(provisioned.key(box.digest, ROLES)) is None
    forge_provisioned(box)
    assert provisioned.find(provisioned.key(box.digest, ["perf"])) is None
    assert provisioned.find(provisioned.key("another box", ROLES)) is None


@pytest.mark.parametrize(
    "other", [("another", ROLES), ("base", ("perf",)), ("base", ROLES, {"nginx_workers": 2})], ids=str
)
def test_the_key_depends_on_box_roles_and_variables(other: tuple[object, ...]) -> None:
    assert provisioned.key(*other) != provisioned.key(*KEY)  # type: ignore[arg-type]
    assert provisioned.key(*KEY, {}) == provisioned.key(*KEY)


def test_what_a_load_asked_for_by_name_is_kept_with_the_machine_and_found_again(box: Box) -> None:
    variables = {"harness_packages": ["redis-server"], "harness_services": ["redis-server.service"]}
    key = provisioned.key(box.digest, ROLES, variables)
    with provisioned.work_folder() as fresh:
        (fresh / "box.img").write_bytes(b"disk")
        made = replace(provisioning(box), variables=dict(variables))
        kept = provisioned.publish(fresh, box, key, made, "redis-server 5:7.0.15-1\n")
    assert provisioned.find(key) == kept
    assert kept.provisioning.variables == variables
    assert [machine.current for machine in provisioned.ls()] == [True]


def test_the_key_depends_on_every_file_beside_a_role_of_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue" / "tasks").mkdir(parents=True)
    (tmp_path / "queue" / "tasks" / "main.yml").write_text("[]\n")
    monkeypatch.setattr(Kinds, "role_folders", lambda _: [tmp_path])
    absent, first = provisioned.key("base", ("perf", "elsewhere")), provisioned.key("base", ("perf", "queue"))
    (tmp_path / "included.yml").write_text("[]\n")
    assert len({absent, first, provisioned.key("base", ("perf", "queue"))}) == 3


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("site.yml", True),
        ("ansible.cfg", True),
        ("seal.sh", True),
        ("roles/baseline/defaults/main.yml", True),
        ("roles/nginx/packages.yml", True),
        ("roles/nginx/files/index.html", True),
        ("roles/stress_ng/tasks/main.yml", False),  # not one of the roles
    ],
)
def test_the_key_depends_on_every_file_of_ansible_that_takes_part(
    changed: str, matters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = provisioned.key(*KEY)
    copy = shutil.copytree(paths.data_dir("ansible"), tmp_path / "ansible")
    monkeypatch.setattr(paths, "data_dir", lambda _: copy)
    assert provisioned.key(*KEY) == before
    with (copy / changed).open("a") as file:
        file.write("\n# changed\n")
    assert (provisioned.key(*KEY) != before) == matters


def test_the_newest_machine_of_a_key_is_used(box: Box) -> None:
    first = forge_provisioned(box, b"first")
    second = forge_provisioned(box, b"second")
    assert provisioned.find(first.digest) == second
    assert first.vagrant_name != second.vagrant_name  # the copies of the two in Vagrant and libvirt are never mixed up
    assert provisioned.superseded(second) == [first]


@pytest.mark.parametrize("part", ["libvirt.box", "box.img", "vmlinuz", "initrd", "packages", "provisioned.json"])
def test_a_machine_of_which_a_part_has_changed_is_an_error_that_names_it(box: Box, part: str) -> None:
    kept = forge_provisioned(box)
    path = kept.folder / part
    path.write_bytes(path.read_bytes().replace(b"1.22", b"1.23").swapcase())  # of equal size: hashed before it starts
    with pytest.raises(DamagedBoxError, match=f"{part} has changed") as at_start:
        cache.require_unchanged(kept)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedBoxError, match=f"{part}.* bytes instead of|cannot be read"):
        provisioned.find(kept.digest)
    # `harness box rm` would remove the box that it was made from too
    assert "harness run --provision" in str(at_start.value.hint)
    path.unlink()
    with pytest.raises(DamagedBoxError, match=part):
        provisioned.find(kept.digest)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "debian-12"}'])
@pytest.mark.parametrize("part", ["box.json", "provisioned.json"])
def test_a_machine_whose_description_cannot_be_read_is_an_error_and_is_not_listed(
    box: Box, part: str, text: str
) -> None:
    kept = forge_provisioned(box)
    (kept.folder / part).write_text(text)
    with pytest.raises(DamagedBoxError, match="cannot be read"):
        provisioned.find(kept.digest)
    assert provisioned.ls() == []
    assert [one.folder for one in provisioned.damaged()] == [kept.folder]


def test_a_machine_that_is_not_complete_does_not_count(box: Box) -> None:
    def stopped() -> None:
        with provisioned.work_folder() as fresh:
            (fresh / "box.img").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(provisioned.root().iterdir()) == []


def test_a_folder_that_a_killed_process_left_is_swept_but_not_that_of_a_living_one(box: Box) -> None:
    provisioned.root().mkdir()
    dead = provisioned.root() / ".new.7.0123abcd.tmp"
    dead.mkdir()
    with provisioned.work_folder() as fresh:
        assert not dead.exists()
        cache.sweep(provisioned.root())
        assert fresh.exists()
    assert provisioned.ls() == []


def test_a_machine_counts_as_current_while_a_run_of_today_would_use_it(box: Box) -> None:
    forge_provisioned(box)
    assert [machine.current for machine in provisioned.ls()] == [True]
    forge_provisioned(box, b"anew")
    assert [machine.current for machine in provisioned.ls()] == [True, False]
    (box.folder / "box.json").unlink()  # its base box is gone
    assert [machine.current for machine in provisioned.ls()] == [False, False]


def test_removing_a_machine_leaves_the_others(box: Box) -> None:
    first, second = forge_provisioned(box, b"first"), forge_provisioned(box, b"second")
    cache.remove(second)
    assert provisioned.find(first.digest) == first
    assert [machine.box for machine in provisioned.ls()] == [first]


def test_a_full_disk_is_a_host_error_and_nothing_is_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(provisioned.tarfile, "open", full)
    with pytest.raises(HostError, match="the disk is full"):
        forge_provisioned(box)
    assert list(provisioned.root().iterdir()) == []
    monkeypatch.setattr(cache, "held_folder", full)
    with pytest.raises(HostError, match="the disk is full"):
        forge_provisioned(box)


def test_a_machine_that_another_run_replaces_while_it_is_looked_at_gives_way_to_the_newer_one(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(folder: Path) -> list[str]:
        if not newer:
            cache.remove(old)
            newer.append(forge_provisioned(box, b"newer"))
        return problems(folder)

    newer: list[provisioned.ProvisionedBox] = []
    problems, old = cache.wrong_sizes, forge_provisioned(box, b"old")
    monkeypatch.setattr(cache, "wrong_sizes", replaced)
    assert provisioned.find(old.digest) == newer[0]


def test_a_machine_that_was_removed_since_it_was_found_is_a_damaged_box(box: Box) -> None:
    kept = forge_provisioned(box)
    cache.remove(kept)
    for check in (cache.require_unchanged, lambda box: cache.wrong_sizes(box.folder)):
        with pytest.raises(DamagedBoxError, match="cannot be read"):
            check(kept)
    assert provisioned._describe(kept, set()) is None
