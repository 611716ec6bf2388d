"""The box commands beside damaged boxes, wrong locks and things that are no files: clear errors, and the rest works."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from boxes_on_disk import forge_box, forge_provisioned, use_empty_folders
from command_line import harness

from harness import boxes
from harness.boxes import Box, cache, provisioned, recipes
from harness.boxes.lock_file import Lock
from harness.boxes.pins import Pin, Pins
from harness.machines import prune, registry


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, an empty pool, and a copy of the recipes to which locks can be added."""
    use_empty_folders(tmp_path, monkeypatch)
    copy = shutil.copytree(recipes.folder(), tmp_path / "recipes")
    monkeypatch.setattr(recipes, "folder", lambda: copy)
    return copy


@pytest.fixture
def damaged() -> Box:
    """A box of debian-13 whose description has a wrong value, beside a whole one of debian-12."""
    forge_provisioned(forge_box(cache.root(), "debian-12"))
    box = forge_box(cache.root(), "debian-13")
    path = box.folder / "box.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "built": "yesterday"}))
    return box


def lock_text(name: str) -> str:
    recipe = boxes.recipe(name)
    pinned = tuple(sorted(Pin(package, "1.0", "amd64", "a" * 64) for package in recipe.all_packages()))
    return Lock(name, recipe.fingerprint(), recipe.suite, "2026-11-29T00:00:00Z", Pins(pinned)).text()


def test_ls_lists_a_damaged_box_with_its_reason_beside_the_others(damaged: Box) -> None:
    listed = harness("box", "ls").stdout
    assert "used by the next run" in listed
    for part in (str(damaged.folder), "built is 'yesterday'", f"harness box rm {damaged.digest[:12]}"):
        assert part in listed
    plain = json.loads(harness("box", "ls", "--json").stdout)
    assert [one["folder"] for one in plain["damaged"]] == [str(damaged.folder)]
    assert [one["box"]["name"] for one in plain["cached"]] == ["debian-12"]


def test_rm_removes_a_damaged_box_by_the_beginning_of_its_digest_and_prune_too(damaged: Box) -> None:
    assert "`harness box ls` shows which" in harness("box", "rm", "debian-13", code=3).stderr
    harness("box", "rm", damaged.digest[:6], code=2)
    copy = shutil.copytree(damaged.folder, damaged.folder.with_name("0" * 64))
    assert json.loads(harness("box", "rm", damaged.digest[:12], "--json").stdout) == {"removed": [damaged.digest]}
    assert not damaged.folder.exists()
    assert "damaged 000000000000" in harness("box", "prune", "--dry-run").stdout
    harness("box", "prune")
    assert not copy.exists()
    assert len(boxes.ls()) == len(provisioned.ls()) == 1


def test_a_damaged_box_that_was_made_whole_meanwhile_is_not_removed(damaged: Box) -> None:
    (removal,) = [one for one in prune.candidates() if one.box is None]
    forge_box(cache.root(), damaged.name, damaged.digest)
    prune.remove(removal)
    assert cache.open_box(damaged.folder) == damaged


def test_a_damaged_box_that_a_machine_uses_stays(damaged: Box, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "machine"
    folder.mkdir(parents=True)
    registry.record("harness-1-vm", "libvirt", folder)
    (folder / "settings.json").write_text(json.dumps({"box": damaged.vagrant_name}))
    assert "in use by harness-1-vm" in harness("box", "rm", damaged.digest[:12], code=3).stderr
    assert "in use by harness-1-vm" in harness("box", "prune").stdout
    assert damaged.folder.exists()


def test_verify_names_a_damaged_box_because_it_could_be_of_any_name(damaged: Box) -> None:
    for name in ("debian-12", "debian-13"):
        assert "built is 'yesterday'" in harness("box", "verify", name, code=1).stdout


def test_a_damaged_box_is_neither_exported_nor_built_over_and_the_others_are(damaged: Box, tmp_path: Path) -> None:
    assert "box rm" in harness("box", "build", "debian-13", code=3).stderr
    assert "no box 'debian-13'" in harness("box", "export", "debian-13", tmp_path / "file", code=3).stderr
    assert "older version" in harness("box", "export", "debian-12", tmp_path / "file", code=3).stderr  # has no inputs


@pytest.mark.parametrize("target", ["", "none/file", "harness_cache/boxes/file"])
def test_export_to_what_is_no_place_for_a_file_is_an_error_of_the_arguments(tmp_path: Path, target: str) -> None:
    forge_box(cache.root())
    assert str(tmp_path / target) in harness("box", "export", "debian-12", tmp_path / target, code=2).stderr


def test_import_of_a_pipe_ends_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is a device, a pipe" in harness("box", "import", tmp_path / "pipe", code=3).stderr


@pytest.mark.parametrize(
    "command", [["ls"], ["rm", "debian-12"], ["verify", "debian-12"], ["prune"], ["prune", "--all"]]
)
def test_a_cache_that_is_a_file_is_an_error_with_its_path(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "harness_cache").write_text("")
    refused = harness("box", *command, code=3).stderr
    assert str(tmp_path / "harness_cache") in refused
    assert "HARNESS_CACHE" in refused


def test_an_import_into_a_cache_that_is_a_file_is_an_error_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = forge_box(cache.root())
    cache.write_manifest(box.folder, box, made_from=cache.inputs(boxes.recipe("debian-12"), None))
    harness("box", "export", "debian-12", tmp_path / "file")
    (tmp_path / "other").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "other"))
    refused = harness("box", "import", tmp_path / "file", code=3).stderr
    assert str(tmp_path / "other") in refused
    assert "HARNESS_CACHE" in refused


WRONG_LOCKS = ["no lock", "recipe: x", "another recipe", b"\xff\xfe", "pipe", "folder", "link"]


def put_lock(path: Path, kind: str | bytes) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("nowhere")
    else:
        text = lock_text("debian-12") if kind == "another recipe" else kind
        path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("kind", WRONG_LOCKS)
def test_a_wrong_lock_of_one_recipe_stops_no_command_on_other_boxes(folders: Path, kind: str | bytes) -> None:
    forge_provisioned(forge_box(cache.root(), "debian-12"))
    forge_provisioned(forge_box(cache.root(), "debian-13"))
    put_lock(folders / "debian-13.lock", kind)
    listed = harness("box", "ls").stdout
    assert str(folders / "debian-13.lock") in listed
    assert "yes; see below" in listed
    assert "nothing to remove" in harness("box", "prune").stdout  # nobody knows that it is unused
    plain = json.loads(harness("box", "ls", "--json").stdout)
    assert {one["box"]["name"]: one["current"] for one in plain["provisioned"]} == {
        "debian-12": True,
        "debian-13": None,
    }
    harness("box", "verify", "debian-13")
    harness("box", "build", "debian-12")
    assert "debian-13.lock" in harness("box", "build", "debian-13", code=2).stderr
    harness("box", "rm", "debian-13")


@pytest.mark.parametrize("kind", WRONG_LOCKS)
def test_a_run_with_a_wrong_lock_ends_before_anything_starts(folders: Path, tmp_path: Path, kind: str | bytes) -> None:
    put_lock(folders / "debian-13.lock", kind)
    command = ["run", "smoke", "--machine", "debian-13", "--runs", tmp_path / "runs"]
    for more in (["--dry-run"], []):
        assert str(folders / "debian-13.lock") in harness(*command, *more, code=2).stderr
    assert not (tmp_path / "runs").exists()
    harness("run", "smoke", "--machine", "debian-12", "--dry-run")


def test_a_recipe_that_is_wrong_stops_no_command_on_other_boxes(folders: Path) -> None:
    forge_box(cache.root(), "debian-12")
    forge_box(cache.root(), "debian-13")
    (folders / "debian-13.yaml").write_text("name: 7")
    assert "debian-13.yaml" in harness("box", "ls").stdout
    assert "nothing to remove" in harness("box", "prune").stdout


def test_an_imported_box_whose_lock_here_is_wrong_says_so(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = forge_box(cache.root())
    cache.write_manifest(box.folder, box, made_from=cache.inputs(boxes.recipe("debian-12"), None))
    harness("box", "export", "debian-12", tmp_path / "file")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "there"))
    put_lock(folders / "debian-12.lock", "no lock")
    assert "debian-12.lock:1" in harness("box", "import", tmp_path / "file").stdout


def test_a_box_without_readable_pins_gives_no_lock(tmp_path: Path) -> None:
    box = forge_box(cache.root())
    assert f"{box.folder / 'pins'}:1" in harness("box", "lock", "debian-12", "--out", tmp_path / "x", code=2).stderr
    (box.folder / "pins").write_bytes(b"\xff")
    cache.write_manifest(box.folder, box)
    harness("box", "lock", "debian-12", "--out", tmp_path / "x", code=2)
    assert not (tmp_path / "x").exists()
