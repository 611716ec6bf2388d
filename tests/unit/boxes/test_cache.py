"""The cache of built boxes: a folder counts as a box only when it is complete."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import builder, recipes, rootfs
from harness.boxes import cache as cache_module
from harness.boxes.box import Box
from harness.errors import BoxError, DamagedBoxError, HostError
from harness.files import sha256
from harness.progress import SilentWatcher
from harness.temporary import OWNER, held_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    cache_module.root().mkdir(parents=True)
    return tmp_path / "cache"


def put(name: str = "debian-12", digest: str = "") -> Box:
    """Put a small box into the cache, in the layout that the builder leaves."""
    digest = digest or cache_module.digest(boxes.recipe(name))
    folder = cache_module.root() / digest
    folder.mkdir()
    for part in cache_module.BUILT:
        (folder / part).write_bytes(f"{name} {part}".encode())
    box = Box(name, digest, "6.1.0-56-cloud-amd64", "root=/dev/vda", "libvirt", folder)
    return cache_module.write_manifest(folder, box)


def test_a_box_is_found_again_as_it_was_put() -> None:
    box = put()
    assert cache_module.find(box.digest) == box


def test_a_folder_without_its_manifest_does_not_count_as_a_box() -> None:
    box = put()
    (box.folder / "box.json").unlink()
    assert cache_module.find(box.digest) is None
    assert boxes.ls() == []


def test_a_cached_box_is_used_without_building_anything() -> None:
    box = put()
    assert boxes.build(boxes.recipe("debian-12"), SilentWatcher()) == box


def test_a_changed_recipe_has_another_digest() -> None:
    plain = boxes.recipe("debian-12")
    assert cache_module.digest(plain) != cache_module.digest(plain.model_copy(update={"disk_gb": 7}))


@pytest.mark.parametrize(
    "changed", ["finish.sh", "image.sh", "root/usr/local/sbin/harness-keys", "root/etc/ssh/sshd_config"]
)
def test_a_changed_file_of_the_build_gives_another_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    recipe = boxes.recipe("debian-12")
    before = cache_module.digest(recipe)
    copy = shutil.copytree(recipes.folder(), tmp_path / "recipes")
    monkeypatch.setattr(rootfs, "folder", lambda: copy)
    assert cache_module.digest(recipe) == before
    (copy / changed).write_text("other")
    assert cache_module.digest(recipe) != before


@pytest.mark.parametrize("constant", ["BASE_PACKAGES", "LEFT_OUT", "COMMAND_LINE"])
def test_a_changed_setting_of_the_build_gives_another_digest(monkeypatch: pytest.MonkeyPatch, constant: str) -> None:
    recipe = boxes.recipe("debian-12")
    before = cache_module.digest(recipe)
    value = "other" if constant == "COMMAND_LINE" else ("other",)
    monkeypatch.setattr(recipes if constant == "BASE_PACKAGES" else rootfs, constant, value)
    assert cache_module.digest(recipe) != before


def test_verify_finds_no_problem_in_an_unchanged_box() -> None:
    put()
    assert boxes.verify("debian-12") == []


def test_verify_names_the_changed_file_and_the_missing_one() -> None:
    box = put()
    box.image.write_bytes(b"other")
    box.vmlinuz.unlink()
    changed, missing = sorted(boxes.verify("debian-12"))
    assert str(box.image) in changed
    assert "changed" in changed
    assert missing == f"{box.vmlinuz} is missing"


def test_verify_of_an_unknown_box_names_the_boxes_in_the_cache() -> None:
    put()
    with pytest.raises(BoxError) as caught:
        boxes.verify("debian-13")
    assert caught.value.expected == "one of: debian-12"


def test_a_box_is_removed_with_its_copies_and_a_second_removal_changes_nothing() -> None:
    gone, kept = put("debian-12"), put("debian-13")
    uninstalled: list[Box] = []
    for _ in range(2):  # such as by two processes
        boxes.remove(gone, uninstalled.append)
    assert uninstalled == [gone, gone]
    assert [cached.box for cached in boxes.ls()] == [kept]


def test_a_box_that_is_being_put_together_does_not_count() -> None:
    box = put()
    shutil.copytree(box.folder, cache_module.root() / f".new.{os.getpid()}.0123abcd.tmp")
    assert [cached.box for cached in boxes.ls()] == [box]


def test_ls_shows_whether_the_recipe_gives_the_same_box_today() -> None:
    put("debian-12")
    put("debian-12", "0" * 64)
    assert sorted(cached.current for cached in boxes.ls()) == [False, True]


def test_two_digests_of_one_recipe_have_different_names_in_vagrant() -> None:
    assert put("debian-12").vagrant_name != put("debian-12", "0" * 64).vagrant_name


def test_two_builds_with_one_digest_and_different_disks_have_different_names_in_vagrant() -> None:
    box = put()
    box.image.write_bytes(b"the file system has another UUID")
    other = cache_module.write_manifest(box.folder, box)
    assert cache_module.find(box.digest) == other
    assert box.vagrant_name != other.vagrant_name
    assert other.vagrant_names == (other.vagrant_name, f"harness/debian-12-{box.digest[:12]}")


def test_sweep_removes_the_folders_of_killed_builds_and_keeps_those_of_live_ones(tmp_path: Path) -> None:
    root = cache_module.root()
    with held_folder(tmp_path, "harness-box") as building, cache_module.fresh_folder(root) as fresh:
        left = [tmp_path / ".harness-box.7.0123abcd.tmp", root / ".new.7.0123abcd.tmp", root / ".old.7.0123abcd.tmp"]
        for folder in left:
            folder.mkdir()
            (folder / OWNER).touch()
        (left[2] / OWNER).rename(left[2] / "vmlinuz")  # what is half removed has no owner
        builder.sweep()
        assert [folder.exists() for folder in (*left, building, fresh)] == [False, False, False, True, True]


def test_too_little_disk_space_is_an_error_that_names_the_folder_and_the_free_space(tmp_path: Path) -> None:
    free_mb = shutil.disk_usage(tmp_path).free / 1e6
    with pytest.raises(HostError) as caught:
        builder.check_space(tmp_path, int(free_mb) + 100_000)
    assert str(tmp_path) in caught.value.what
    assert "are free" in str(caught.value.expected)


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "mmdebstrap"
    fake.write_text("#!/bin/sh\necho 'E: the suite cannot be reached' >&2\nexit 25\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for needed in ("WORK_MB", "CACHE_MB"):
        monkeypatch.setattr(builder, needed, 1)  # nothing is built
    recipe = boxes.recipe("debian-12")
    with pytest.raises(BoxError) as caught:
        boxes.build(recipe, SilentWatcher())
    assert "E: the suite cannot be reached" in caught.value.what
    assert "suite cannot be reached" in Path(str(caught.value.log)).read_text(encoding="utf-8")
    assert cache_module.find(cache_module.digest(recipe)) is None
    assert list(tmp_path.glob("harness-box-*")) == []
    assert list(cache_module.root().glob(".new.*")) == []


def test_the_manifest_has_the_hash_of_every_part() -> None:
    box = put()
    parts = json.loads((box.folder / "box.json").read_text(encoding="utf-8"))["parts"]
    assert parts == {name: sha256(box.folder / name) for name in cache_module.BUILT}


def test_a_box_that_was_cut_off_is_refused_before_it_is_used() -> None:
    box = put()
    box.image.write_bytes(box.image.read_bytes()[:-1])
    with pytest.raises(DamagedBoxError) as caught:
        boxes.build(boxes.recipe("debian-12"), SilentWatcher())
    assert f"{box.image} has" in caught.value.what
    assert caught.value.where == str(box.folder)
    assert "harness box rm debian-12" in str(caught.value.hint)


def test_a_box_with_a_missing_file_is_refused_before_it_is_used() -> None:
    box = put()
    box.vmlinuz.unlink()
    with pytest.raises(DamagedBoxError, match="is missing"):
        cache_module.find(box.digest)


def test_a_changed_byte_is_found_when_the_hashes_are_compared() -> None:
    box = put()
    content = box.image.read_bytes()
    box.image.write_bytes(content[:-1] + b"?")
    assert cache_module.find(box.digest) == box  # its size is right, and no hash is computed here
    with pytest.raises(DamagedBoxError, match="has changed"):
        boxes.require_unchanged(box)


def test_a_box_of_version_0_2_is_still_found() -> None:
    box = put()
    path = box.folder / "box.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    for key in ("sizes", "inputs", "lock"):
        del plain[key]
    path.write_text(json.dumps({**plain, "schema": 1}), encoding="utf-8")
    assert cache_module.find(box.digest) == box
    assert boxes.verify("debian-12") == []


def test_a_box_that_is_removed_while_all_are_listed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(folder: Path) -> Box:
        if folder == gone.folder:
            shutil.rmtree(folder)
        return open_box(folder)

    gone, stays, open_box = put("debian-12"), put("debian-13"), cache_module.open_box
    monkeypatch.setattr(cache_module, "open_box", removed)
    assert [cached.box for cached in boxes.ls()] == [stays]


def test_a_box_whose_description_is_damaged_is_an_error_of_the_box() -> None:
    box = put()
    for text in ("", "[]", "{}", '{"parts": 1}'):
        (box.folder / "box.json").write_text(text)
        with pytest.raises(DamagedBoxError, match="cannot be read"):
            boxes.require_unchanged(box)
