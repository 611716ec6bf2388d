"""What `harness box prune` and `harness box rm` remove: nothing that runs would use, nothing that a machine uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from boxes_on_disk import forge_box, forge_provisioned

from harness import boxes
from harness.boxes import Box, cache, provisioned
from harness.errors import BoxError, HostError, MachineError
from harness.machines import box_install, disk, libvirt, prune, registry

OLD = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Replace libvirt's pool: a volume and the volume that it is an overlay on, if any."""
    volumes: dict[str, str] = {}
    for name in ("HARNESS_CACHE", "HARNESS_STATE", "VAGRANT_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setattr(libvirt, "overlays", lambda bases: [name for name, on in volumes.items() if on in bases])
    monkeypatch.setattr(libvirt, "remove_volumes", lambda names: [volumes.pop(name, None) for name in names])
    monkeypatch.setattr(libvirt, "volume_size", lambda name: 1_000_000 if name in volumes else None)
    monkeypatch.setattr(libvirt, "refresh_pool", lambda: None)
    monkeypatch.setattr(libvirt, "remove_left_consoles", lambda: None)
    return volumes


@pytest.fixture
def box() -> Box:
    return forge_box(cache.root())


def use(box: Box, tmp_path: Path) -> None:
    """Register a machine that was made from `box`."""
    folder = tmp_path / "run" / "machine"
    folder.mkdir(parents=True)
    registry.record("harness-1-vm", "libvirt", folder)
    (folder / "settings.json").write_text(json.dumps({"box": box.vagrant_name}))


def titles(removals: list[prune.Removal]) -> list[str]:
    return [removal.title for removal in removals]


def test_boxes_and_machines_that_runs_use_are_no_candidates_unless_everything_is(box: Box) -> None:
    forge_provisioned(box)
    assert prune.candidates() == []
    assert len(prune.candidates(everything=True)) == 2


def test_a_box_of_an_older_recipe_and_the_machines_made_from_it_are_candidates(box: Box) -> None:
    old = forge_box(cache.root(), digest=OLD)
    made = forge_provisioned(old)
    current = forge_provisioned(box, b"current")
    removals = prune.candidates()
    assert [removal.box.digest for removal in removals if removal.box] == [made.digest, OLD]
    for removal in removals:
        prune.remove(removal)
    assert [cached.box for cached in boxes.ls()] == [box]
    assert provisioned.find(current.digest) == current


def test_a_machine_that_was_provisioned_anew_leaves_the_older_one_as_a_candidate(box: Box) -> None:
    older = forge_provisioned(box, b"older")
    forge_provisioned(box, b"newer")
    assert [removal.box for removal in prune.candidates()] == [older]


def test_a_folder_without_a_readable_description_is_a_candidate(box: Box) -> None:
    kept = forge_provisioned(box)
    (kept.folder / "provisioned.json").write_text("{")
    (removal,) = prune.candidates()
    assert removal.why.startswith("provisioned.json, the description of this box, cannot be read")
    prune.remove(removal)
    assert not kept.folder.exists()


def test_the_size_counts_the_copies_of_libvirt(box: Box, pool: dict[str, str]) -> None:
    (before,) = prune.candidates(everything=True)
    pool[box_install.disk_volume(box)] = ""
    (after,) = prune.candidates(everything=True)
    assert after.mb - before.mb == pytest.approx(1.0)
    prune.remove(after)
    assert pool == {}


def test_what_a_registered_machine_uses_stays(box: Box, tmp_path: Path) -> None:
    kept = forge_provisioned(box)
    use(kept, tmp_path)
    removals = prune.candidates(everything=True)
    assert {removal.box: removal.users for removal in removals} == {kept: ("harness-1-vm",), box: ()}
    with pytest.raises(MachineError, match="in use by harness-1-vm"):
        prune.remove(next(removal for removal in removals if removal.users))
    assert provisioned.find(kept.digest) == kept


def test_what_a_machine_of_another_user_has_its_disk_on_stays(box: Box, pool: dict[str, str]) -> None:
    pool["harness-2-vm.img"] = box_install.disk_volume(box)
    (removal,) = prune.candidates(everything=True)
    assert removal.users == ("harness-2-vm",)
    assert not removal.possible


def test_removing_a_box_by_name_removes_the_machines_made_from_it_too(box: Box) -> None:
    forge_provisioned(box)
    other = forge_box(cache.root(), "debian-13")
    removals = prune.named("debian-12")
    assert len(removals) == 2
    for removal in removals:
        prune.remove(removal)
    assert [cached.box for cached in boxes.ls()] == [other]
    assert provisioned.ls() == []


def test_removing_a_box_by_name_removes_nothing_if_a_machine_made_from_it_is_in_use(box: Box, tmp_path: Path) -> None:
    kept = forge_provisioned(box)
    use(kept, tmp_path)
    with pytest.raises(MachineError, match="in use"):
        prune.named("debian-12")
    assert provisioned.find(kept.digest) == kept


def test_removing_a_box_that_is_not_there_is_an_error(box: Box) -> None:
    with pytest.raises(BoxError, match="no box 'debian-13' is in the cache"):
        prune.named("debian-13")


def test_a_machine_provisioned_anew_takes_the_place_of_the_older_ones_that_no_machine_uses(
    box: Box, tmp_path: Path
) -> None:
    oldest, older = forge_provisioned(box, b"oldest"), forge_provisioned(box, b"older")
    use(older, tmp_path)
    newest = forge_provisioned(box, b"newest")
    disk.discard_superseded(newest)
    assert not oldest.folder.exists()
    assert provisioned.superseded(newest) == [older]
    assert provisioned.find(newest.digest) == newest


def test_an_older_machine_that_another_process_works_on_or_has_removed_stops_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newest = forge_provisioned(box, b"older"), forge_provisioned(box, b"newest")
    with monkeypatch.context() as patched:

        def busy(*_: object) -> None:
            raise BoxError("another process has been working on this box for too long")

        patched.setattr(cache, "lock", busy)
        disk.discard_superseded(newest)
    assert provisioned.superseded(newest) == [older]
    disk.discard(older)
    monkeypatch.setattr(provisioned, "superseded", lambda _: [older])
    disk.discard_superseded(newest)
    assert provisioned.find(newest.digest) == newest


def test_on_a_host_without_libvirt_boxes_are_listed_and_removed(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise HostError("the program 'virsh' is not installed")

    for name in ("overlays", "remove_volumes", "volume_size"):
        monkeypatch.setattr(libvirt, name, missing)
    (removal,) = prune.candidates(everything=True)
    assert removal.mb == pytest.approx(boxes.ls()[0].size_mb)
    prune.remove(removal)
    assert boxes.ls() == []
