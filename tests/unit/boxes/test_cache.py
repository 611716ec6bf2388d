"""Built boxes in the cache: whole or not there at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import builder
from harness.boxes import cache as cache_module
from harness.boxes.cache import Box
from harness.errors import BoxError, HostError
from harness.files import sha256
from harness.progress import Silent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    cache_module.root().mkdir(parents=True)
    return tmp_path / "cache"


def put(name: str = "debian-12", digest: str = "") -> Box:
    """A box as the builder leaves it, with little in it."""
    digest = digest or cache_module.digest(boxes.recipe(name))
    folder = cache_module.root() / digest
    folder.mkdir()
    for part in (*cache_module.PARTS, "box.img"):
        (folder / part).write_bytes(f"{name} {part}".encode())
    box = Box(name, digest, "6.1.0-56-cloud-amd64", "root=/dev/vda", "libvirt", folder)
    cache_module.write_manifest(folder, box)
    return box


def test_a_box_is_found_again_as_it_was_put() -> None:
    box = put()
    assert cache_module.find("debian-12", box.digest) == box


def test_a_folder_without_its_description_is_never_taken_for_a_box() -> None:
    box = put()
    (box.folder / "box.json").unlink()
    assert cache_module.find("debian-12", box.digest) is None
    assert boxes.ls() == []


def test_a_cached_box_is_used_without_building_anything() -> None:
    box = put()
    assert boxes.build(boxes.recipe("debian-12"), Silent()) == box


def test_a_changed_recipe_has_another_digest() -> None:
    plain = boxes.recipe("debian-12")
    assert cache_module.digest(plain) != cache_module.digest(plain.model_copy(update={"disk_gb": 7}))


def test_every_file_that_decides_what_a_guest_becomes_is_in_the_digest() -> None:
    told = {path.name for path in cache_module.builder_files()}
    assert {"builder.py", "rootfs.py", "recipes.py", "finish.sh", "image.sh", "harness-keys", "sshd_config"} <= told


def test_verify_says_nothing_about_a_box_that_is_what_it_was() -> None:
    put()
    assert boxes.verify("debian-12") == []


def test_verify_names_the_file_that_changed_and_the_one_that_is_gone() -> None:
    box = put()
    box.image.write_bytes(b"other")
    box.vmlinuz.unlink()
    changed, missing = sorted(boxes.verify("debian-12"))
    assert str(box.image) in changed
    assert "changed" in changed
    assert missing == f"{box.vmlinuz} is missing"


def test_verify_of_a_box_that_is_not_there_says_which_are() -> None:
    put()
    with pytest.raises(BoxError) as caught:
        boxes.verify("debian-13")
    assert caught.value.expected == "one of: debian-12"


def test_rm_removes_every_digest_of_a_name_and_nothing_else() -> None:
    put("debian-12")
    put("debian-12", "0" * 64)
    kept = put("debian-13")
    forgotten: list[Box] = []
    removed = boxes.rm("debian-12", forgotten.append)
    assert {box.digest for box in forgotten} == {box.digest for box in removed}
    assert len(removed) == 2
    assert [listed.box for listed in boxes.ls()] == [kept]


def test_ls_tells_whether_a_box_is_what_the_recipe_would_give_today() -> None:
    put("debian-12")
    put("debian-12", "0" * 64)
    assert sorted(listed.current for listed in boxes.ls()) == [False, True]


def test_a_description_of_nonsense_is_refused_with_its_place() -> None:
    box = put()
    (box.folder / "box.json").write_text("{", encoding="utf-8")
    with pytest.raises(BoxError) as caught:
        boxes.ls()
    assert caught.value.where == str(box.folder / "box.json")


def test_two_digests_of_one_recipe_have_different_names_in_vagrant() -> None:
    assert put("debian-12").vagrant_name != put("debian-12", "0" * 64).vagrant_name


def test_what_a_killed_build_left_is_swept_and_what_a_live_one_works_in_is_kept(tmp_path: Path) -> None:
    dead, uid = 2**22 + 1, os.getuid()  # beyond the largest process number there can be
    gone = [tmp_path / f"harness-box-{uid}-{dead}-abc", cache_module.root() / f".new-0123456789ab-{dead}-abc"]
    kept = [
        tmp_path / f"harness-box-{uid}-{os.getpid()}-abc",
        cache_module.root() / f".new-0123456789ab-{os.getpid()}-abc",
    ]
    for folder in (*gone, *kept):
        folder.mkdir()
    builder.sweep()
    assert [folder.exists() for folder in (*gone, *kept)] == [False, False, True, True]


def test_too_little_disk_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
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
        boxes.build(recipe, Silent())
    assert "E: the suite cannot be reached" in caught.value.what
    assert "suite cannot be reached" in Path(str(caught.value.log)).read_text(encoding="utf-8")
    assert cache_module.find("debian-12", cache_module.digest(recipe)) is None
    assert list(tmp_path.glob("harness-box-*")) == []
    assert list(cache_module.root().glob(".new-*")) == []


def test_the_description_names_every_part_with_its_hash() -> None:
    box = put()
    parts = json.loads((box.folder / "box.json").read_text(encoding="utf-8"))["parts"]
    assert parts == {name: sha256(box.folder / name) for name in (*cache_module.PARTS, "box.img")}
