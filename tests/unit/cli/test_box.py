"""`harness box ls`, `verify`, `prune` and `rm`, with small boxes in place of real ones and an empty pool."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from boxes_on_disk import forge_box, forge_provisioned, forge_with_kernel, use_empty_folders
from command_line import harness

from harness import boxes
from harness.boxes import Box, cache, provisioned
from harness.boxes.provisioned import ProvisionedBox
from harness.machines import registry
from harness.spec.kernels import SuiteKernel
from harness.temporary import OWNER


@pytest.fixture(autouse=True)
def empty_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_empty_folders(tmp_path, monkeypatch)


@pytest.fixture
def box() -> Box:
    return forge_box(cache.root())


@pytest.fixture
def kept(box: Box) -> ProvisionedBox:
    return forge_provisioned(box)


def in_use(box: Box, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "machine"
    folder.mkdir(parents=True)
    registry.record("harness-1-vm", "libvirt", folder)
    (folder / "settings.json").write_text(json.dumps({"box": box.vagrant_name}))


def test_ls_shows_box_roles_packages_age_and_use_of_a_kept_machine(kept: ProvisionedBox, tmp_path: Path) -> None:
    in_use(kept, tmp_path)
    listed = harness("box", "ls").stdout
    for cell in (f"debian-12 {kept.base_digest[:12]}", "perf, nginx, apache2_utils", "nginx 1.22.1-9", "harness-1-vm"):
        assert cell in listed
    assert "used by the next run" in listed
    (machine,) = json.loads(harness("box", "ls", "--json").stdout)["provisioned"]
    assert (machine["current"], machine["used_by"]) == (True, ["harness-1-vm"])
    assert machine["box"]["provisioning"]["packages"] == {"nginx": "1.22.1-9"}


def test_ls_says_that_no_machine_is_kept_yet(box: Box) -> None:
    assert "no provisioned machine is kept yet" in harness("box", "ls").stdout


def test_a_box_with_another_kernel_is_listed_beside_the_recipes_own_and_removed_by_its_digest(box: Box) -> None:
    other = forge_with_kernel(cache.root(), SuiteKernel(suite="bookworm-backports", package="linux-image-cloud-amd64"))
    forge_provisioned(other)
    listed = harness("box", "ls").stdout
    for cell in (f"debian-12 {other.digest[:12]}", "6.12.1-other", "linux-image-cloud-amd64 of bookworm-backports"):
        assert cell in listed
    assert "used by runs with this kernel" in listed
    own = [line for line in listed.splitlines() if re.match(r"\s*debian-12 +bookworm ", line)]
    assert [line.split()[-1] for line in own] == [box.kernel]
    assert "nothing to remove" in harness("box", "prune").stdout
    removed = harness("box", "rm", other.digest[:12]).stdout
    assert "with the kernel 6.12.1-other" in removed
    assert [cached.box for cached in boxes.ls()] == [box]
    assert provisioned.ls() == []


def test_verify_finds_a_changed_file_of_a_kept_machine_too(kept: ProvisionedBox) -> None:
    assert "as built" in harness("box", "verify", "debian-12").stdout
    kept.image.write_bytes(b"changed")
    assert str(kept.image) in harness("box", "verify", "debian-12", code=1).stdout.replace("\n", "")


def test_prune_finds_nothing_to_remove_where_runs_use_everything(kept: ProvisionedBox) -> None:
    assert "nothing to remove" in harness("box", "prune").stdout


def test_prune_removes_what_no_run_would_use_and_says_what_and_how_much(box: Box, kept: ProvisionedBox) -> None:
    old = forge_box(cache.root(), digest="0123456789abcdef" * 4)
    forge_provisioned(old)
    planned = harness("box", "prune", "--dry-run").stdout
    assert planned.count("would remove") == 2
    assert len(provisioned.ls()) == 2
    pruned = harness("box", "prune").stdout
    assert "its recipe has changed" in pruned
    assert "freed" in pruned
    assert [cached.box for cached in boxes.ls()] == [box]
    assert [machine.box for machine in provisioned.ls()] == [kept]


def test_prune_all_leaves_only_what_a_machine_uses(box: Box, kept: ProvisionedBox, tmp_path: Path) -> None:
    in_use(kept, tmp_path)
    pruned = harness("box", "prune", "--all").stdout
    assert "in use by harness-1-vm" in pruned
    assert boxes.ls() == []
    assert [machine.box for machine in provisioned.ls()] == [kept]


def test_prune_removes_what_a_killed_run_left_half_made(kept: ProvisionedBox) -> None:
    half = provisioned.root() / ".new.7.0123abcd.tmp"
    half.mkdir()
    harness("box", "prune", "--dry-run")
    assert half.exists()
    harness("box", "prune")
    assert not half.exists()


def test_prune_after_a_killed_import_removes_its_half_and_ends_well(box: Box) -> None:
    half = cache.root() / ".new.7.0123abcd.tmp"
    shutil.copytree(box.folder, half)
    (half / OWNER).touch()
    assert [cached.box for cached in boxes.ls()] == [box]
    assert "removed" in harness("box", "prune", "--all").stdout
    assert list(cache.root().glob("*/box.json")) == []


def test_rm_removes_the_machines_made_from_the_box_and_says_so(kept: ProvisionedBox) -> None:
    removed = harness("box", "rm", "debian-12").stdout
    assert "debian-12 with perf, nginx, apache2_utils" in removed
    assert (boxes.ls(), provisioned.ls()) == ([], [])


def test_rm_of_a_box_in_use_is_an_error_and_removes_nothing(kept: ProvisionedBox, tmp_path: Path) -> None:
    in_use(kept, tmp_path)
    assert "in use by harness-1-vm" in harness("box", "rm", "debian-12", code=3).stderr
    assert len(boxes.ls()) == len(provisioned.ls()) == 1


def test_an_empty_kernel_is_a_wrong_one_and_builds_no_box_of_the_recipe_instead() -> None:
    done = harness("box", "build", "debian-12", "--kernel", "", code=2)
    assert "'' names no kernel to put into a box" in done.stderr
