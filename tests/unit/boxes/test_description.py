"""Whatever the files of a box hold or are, it is the box that was put there, or a damaged one with a reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes_on_disk import forge_box, forge_provisioned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutated_json import mutated

from harness import boxes
from harness.boxes import Box, cache, description, provisioned
from harness.boxes.provisioned import ProvisionedBox
from harness.errors import BoxError, DamagedBoxError, HostError

OTHER = "0" * 64


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return forge_box(cache.root())


@pytest.fixture
def kept(box: Box) -> ProvisionedBox:
    return forge_provisioned(box)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


REPLACEMENTS: list[Callable[[Path], None]] = [replace_by_pipe, replace_by_folder, replace_by_dangling_link]


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_description_is_read_as_it_was_written(box: Box) -> None:
    described = description.read(box.folder)
    assert (described.name, described.digest, described.built) == ("debian-12", box.digest, cache.built_at(box.folder))
    assert described.parts.keys() == described.sizes.keys() == set(cache.BUILT)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"schema": "2"}, "schema is '2', expected: a whole number"),
        ({"schema": 3}, "schema is 3, expected: less than or equal to 2"),
        ({"schema": True}, "schema is true"),
        ({"name": 7}, "name is 7, expected: text"),
        ({"name": "../../etc"}, r"name is '\.\./\.\./etc'"),
        ({"name": "[red]"}, "name is"),
        ({"digest": None}, "digest is"),
        ({"digest": OTHER}, "it is that of 000"),
        ({"kernel": "6.1 init=/bin/sh"}, "kernel is"),
        ({"cmdline": "a\nb"}, "cmdline is"),
        ({"provider": "../x"}, "provider is"),
        ({"built": "yesterday"}, "built is 'yesterday', expected: a number"),
        ({"built": float("nan")}, "built is nan"),
        ({"built": 1e300}, "built is 1e"),
        ({"built": -1}, "built is -1"),
        ({"lock": ["a"]}, "lock is"),
        ({"parts": []}, r"parts is \[\], expected: a mapping"),
        ({"parts": {"../x": OTHER}}, "parts"),
        ({"parts": {"box.img": OTHER}}, "its parts lack initrd, libvirt.box, packages, vmlinuz"),
        ({"parts": dict.fromkeys(cache.BUILT, 1)}, "parts"),
        ({"sizes": {"box.img": "1"}}, "sizes"),
        ({"sizes": 7}, "sizes is 7"),
        ({"inputs": {}}, "its digest is not that of its inputs"),
        ({"inputs": {"recipe": 1}}, "inputs"),
        ({"image_sha256": OTHER}, "its disk is another one"),
    ],
    ids=str,
)
def test_a_wrong_value_is_damage_that_names_it_and_blocks_no_other_box(
    box: Box, changed: dict[str, Any], problem: str
) -> None:
    other = forge_box(cache.root(), "debian-13")
    change(box.folder / "box.json", **changed)
    assert [cached.box for cached in boxes.ls()] == [other]
    (damaged,) = boxes.damaged()
    assert damaged.folder == box.folder
    for look in (cache.find, lambda _: cache.built_at(box.folder), lambda _: cache.require_unchanged(box)):
        with pytest.raises(DamagedBoxError, match=problem) as caught:
            look(box.digest)
        assert caught.value.what == damaged.why
        assert f"harness box rm {box.digest[:12]}" in str(caught.value.hint)
    assert cache.find(other.digest) == other
    assert any(damaged.why in line for line in boxes.verify("debian-13"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000, b"9" * 5000, b" " * 1_000_001],
    ids=lambda content: repr(content[:5]),
)
@pytest.mark.parametrize("name", ["box.json", "provisioned.json"])
def test_a_file_that_is_no_description_is_damage(kept: ProvisionedBox, name: str, content: bytes) -> None:
    (kept.folder / name).write_bytes(content)
    assert provisioned.ls() == []
    (damaged,) = provisioned.damaged()
    assert (damaged.folder, "cannot be read" in damaged.why) == (kept.folder, True)
    with pytest.raises(DamagedBoxError, match="cannot be read"):
        provisioned.find(kept.digest)


@pytest.mark.parametrize(
    "changed",
    [
        {"roles": "perf"},
        {"roles": ["../../.."]},
        {"packages": []},
        {"packages": {"nginx": 1}},
        {"packages": {"nginx": "\x1b[2J"}},
        {"facts": {"a": {"b": float("inf")}}},
        {"made": 7},
        {"made": "[bold]"},
        {"ok": "30"},
        {"base": "../x"},
        {"ok": 31},  # a good value, which is not the one that was kept
    ],
    ids=str,
)
def test_what_was_installed_in_a_machine_is_read_as_strictly(kept: ProvisionedBox, changed: dict[str, Any]) -> None:
    change(kept.folder / "provisioned.json", **changed)
    with pytest.raises(DamagedBoxError):
        provisioned.find(kept.digest)
    assert (provisioned.ls(), len(provisioned.damaged())) == ([], 1)


@pytest.mark.parametrize("replace", REPLACEMENTS)
@pytest.mark.parametrize("name", ["box.json", "box.img", "provisioned.json", "initrd"])
def test_what_is_no_file_is_damage_and_is_not_waited_for(
    kept: ProvisionedBox, name: str, replace: Callable[[Path], None]
) -> None:
    replace(kept.folder / name)
    for look in (lambda: provisioned.find(kept.digest), lambda: cache.require_unchanged(kept)):
        with pytest.raises(DamagedBoxError, match=name):
            look()
    assert any(name in line for line in provisioned.verify("debian-12"))


def test_a_box_in_the_folder_of_a_machine_is_damage_and_the_other_way_round(box: Box, kept: ProvisionedBox) -> None:
    as_box, as_machine = cache.root() / kept.folder.name, provisioned.root() / box.digest
    kept.folder.rename(as_box)
    box.folder.rename(as_machine)
    assert (boxes.ls(), provisioned.ls()) == ([], [])
    assert [one.folder for one in (*boxes.damaged(), *provisioned.damaged())] == [as_box, as_machine]


def test_what_does_not_have_the_name_of_a_box_is_no_box(box: Box) -> None:
    (cache.root() / "notes").mkdir()
    (cache.root() / f"{box.digest}.lock").touch()
    (cache.root() / "debian-12.log").touch()
    assert boxes.damaged() == []


def test_a_file_or_a_link_with_the_name_of_a_box_is_damage_and_goes_without_what_it_points_to(
    box: Box, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    box.folder.rename(outside)
    for name in (OTHER, box.digest):
        (cache.root() / name).symlink_to(outside if name == OTHER else "nowhere")
    (cache.root() / ("f" * 64)).write_text("")
    assert len(boxes.damaged()) == 3
    for one in boxes.damaged():
        cache.remove_folder(one.folder)
    assert boxes.damaged() == []
    assert (outside / "box.json").is_file()


@pytest.mark.parametrize("folder", ["", "boxes", "provisioned"])
def test_a_cache_that_is_a_file_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "cache" / folder
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    for use in (lambda: [*boxes.ls(), *provisioned.ls()], lambda: (_lock(), _work())):
        with pytest.raises(HostError, match="Not a directory") as caught:
            use()
        assert str(path) in str(caught.value.where)
        assert "HARNESS_CACHE" in str(caught.value.hint)


def _lock() -> None:
    with cache.lock(OTHER):
        pass


def _work() -> None:
    with provisioned.work_folder():
        pass


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("name", ["box.json", "provisioned.json"])
def test_no_change_of_a_description_ends_in_another_error_or_hides_the_machine(
    box: Box, kept: ProvisionedBox, name: str, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from([box.folder, kept.folder]) if name == "box.json" else st.just(kept.folder)) / name
    before = path.read_bytes()
    path.write_text(json.dumps(mutated(data, json.loads(before))))
    assert len(boxes.ls()) + len(boxes.damaged()) == 1
    assert len(provisioned.ls()) + len(provisioned.damaged()) == 1
    for look in (cache.find, provisioned.find):
        for digest in (box.digest, kept.digest):
            try:
                look(digest)
            except BoxError:
                continue
    path.write_bytes(before)
