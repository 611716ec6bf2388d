"""`harness box build --lock`, `lock`, `export` and `import`, with a small box in place of a real one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import harness

from harness import boxes
from harness.boxes import Box, cache, description, recipes
from harness.boxes.pins import Pin, Pins

RECIPE = boxes.recipe("debian-12")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a copy of the recipes to which a lock can be added."""
    copy = shutil.copytree(recipes.folder(), tmp_path / "recipes")
    monkeypatch.setattr(recipes, "folder", lambda: copy)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    return copy


def forge(lock: boxes.Lock | None = None) -> Box:
    inputs = cache.inputs(RECIPE, lock)
    folder = cache.root() / description.digest_of(inputs)
    folder.mkdir(parents=True)
    for part in cache.BUILT:
        (folder / part).write_bytes(part.encode())
    pinned = tuple(sorted(Pin(name, "1.0", "amd64", "a" * 64) for name in RECIPE.all_packages()))
    (folder / "pins").write_text(Pins(pinned, (Pin("nginx", "1.22", "amd64", "b" * 64),)).text(), encoding="utf-8")
    (folder / "libvirt.box").write_bytes(bytes(2048))  # an empty tar
    box = Box("debian-12", folder.name, "6.1.0-1", "root=/dev/vda", "libvirt", folder, lock=inputs["lock"])
    return cache.write_manifest(folder, box, made_from=inputs)


def test_lock_writes_a_file_beside_the_recipe_and_the_next_build_uses_it(folders: Path) -> None:
    forge()
    assert (
        f"{len(RECIPE.all_packages())} packages of the box, 1 of the roles"
        in harness("box", "lock", "debian-12").stdout
    )
    lock = boxes.lock_file.read(folders / "debian-12.lock", RECIPE)
    locked = forge(lock)
    built = json.loads(harness("box", "build", "debian-12", "--json").stdout)
    assert (built["digest"], built["lock"]) == (locked.digest, lock.sha256())
    assert f"locked {lock.sha256()[:12]}" in harness("box", "build", "debian-12").stdout
    assert "yes, locked" in harness("box", "ls").stdout


def test_lock_writes_where_it_is_asked_to_and_no_build_uses_that_by_itself(folders: Path, tmp_path: Path) -> None:
    box = forge()
    told = json.loads(harness("box", "lock", "debian-12", "--out", tmp_path / "x.lock", "--json").stdout)
    assert told["box"] == box.digest
    assert not (folders / "debian-12.lock").exists()
    assert json.loads(harness("box", "build", "debian-12", "--json").stdout)["lock"] is None
    locked = forge(boxes.lock_file.read(tmp_path / "x.lock", RECIPE))
    built = harness("box", "build", "debian-12", "--lock", tmp_path / "x.lock", "--json").stdout
    assert json.loads(built)["digest"] == locked.digest


def test_a_new_lock_is_made_from_a_box_without_a_lock(folders: Path) -> None:
    forge()
    harness("box", "lock", "debian-12")
    before = (folders / "debian-12.lock").read_text()
    harness("box", "lock", "debian-12")
    assert (folders / "debian-12.lock").read_text().split("[box]")[1] == before.split("[box]")[1]


def test_the_lock_of_another_recipe_is_an_error_of_the_arguments(tmp_path: Path) -> None:
    forge()
    harness("box", "lock", "debian-12", "--out", tmp_path / "x.lock")
    refused = harness("box", "build", "debian-13", "--lock", tmp_path / "x.lock", code=2).stderr
    assert f"{tmp_path / 'x.lock'}:2" in refused
    assert "the lock of another recipe" in refused


def test_a_box_is_carried_to_another_cache_and_the_file_is_named_with_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = forge()
    exported = json.loads(harness("box", "export", "debian-12", tmp_path / "file", "--json").stdout)
    assert exported["boxes"][0]["digest"] == box.digest
    assert exported["sha256"] in harness("box", "export", box.digest[:10], tmp_path / "again").stdout
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "there"))
    assert f"{box.vagrant_name}: new" in harness("box", "import", tmp_path / "file").stdout
    assert "here already" in harness("box", "import", tmp_path / "file").stdout
    assert "as built" in harness("box", "verify", "debian-12").stdout


def test_an_import_that_no_run_would_use_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge()
    harness("box", "lock", "debian-12", "--out", tmp_path / "x.lock")
    locked = forge(boxes.lock_file.read(tmp_path / "x.lock", RECIPE))
    harness("box", "export", locked.digest[:12], tmp_path / "file")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "there"))
    shown = harness("box", "import", tmp_path / "file").stdout
    assert "no run here uses it: it was built from a lock, and there is no" in shown


def test_a_damaged_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"damaged")
    refused = harness("box", "import", tmp_path / "file", code=3).stderr
    assert str(tmp_path / "file") in refused
    assert "nothing was imported" in refused
