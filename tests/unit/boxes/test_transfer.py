"""A box arrives on another host as it was, or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes_on_disk import ROLES, forge_provisioned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutated_json import mutated

from harness import boxes
from harness.boxes import Box, archive, builder, cache, description, provisioned, transfer
from harness.errors import BoxError, DamagedBoxError, HarnessError, HostError, UsageError
from harness.progress import SilentWatcher

RECIPE = boxes.recipe("debian-12")


@pytest.fixture
def to_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return the function that goes to another host: one with a cache of this name."""

    def change(name: str) -> Path:
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / name))
        cache.root().mkdir(parents=True, exist_ok=True)
        return tmp_path / name

    change("here")
    return change


def forge(disk: bytes = b"disk" * 1000, **changed: str | None) -> Box:
    """Put a small box into the cache, whose Vagrant box holds the disk as a real one does."""
    inputs = cache.inputs(RECIPE, None) | changed
    folder = cache.root() / description.digest_of(inputs)
    folder.mkdir()
    for part in ("vmlinuz", "initrd", "packages", "pins", "metadata.json"):
        (folder / part).write_bytes(part.encode())
    (folder / "box.img").write_bytes(disk)
    with tarfile.open(folder / "libvirt.box", "w") as inner:
        inner.add(folder / "metadata.json", "metadata.json")
        inner.add(folder / "box.img", "box.img")
    box = Box("debian-12", folder.name, "6.1.0-56-cloud-amd64", "root=/dev/vda", "libvirt", folder, lock=inputs["lock"])
    return cache.write_manifest(folder, box, made_from=inputs)


def export(box: Box, target: Path) -> Path:
    transfer.export(box, target, SilentWatcher())
    return target


def import_file(path: Path) -> list[transfer.ImportedBox]:
    return transfer.import_file(path, SilentWatcher())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def left_over() -> list[str]:
    """Return what an import left in the cache: boxes, machines and folders that are not complete."""
    roots = [root for root in (cache.root(), provisioned.root()) if root.is_dir()]
    return [path.name for root in roots for path in root.iterdir() if path.is_dir()]


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write an archive again with another list of files: the one that `change` returns, else the one it changed."""
    data = path.read_bytes()
    size = tarfile.TarInfo.frombuf(data[:512], "utf-8", "strict").size
    listed = json.loads(data[512 : 512 + size])
    text = json.dumps(change(listed) or listed).encode()
    entry = tarfile.TarInfo(archive.LIST)
    entry.size = len(text)
    head = entry.tobuf(tarfile.USTAR_FORMAT) + text + bytes(-len(text) % 512)
    path.write_bytes(head + data[512 + size + -size % 512 :])
    return path


def test_a_box_arrives_as_it_was_and_a_run_there_would_use_it(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge()
    before = content(box.folder)
    carried = export(box, tmp_path / "file")
    to_cache("there")
    (imported,) = import_file(carried)
    assert imported.state == "new"
    assert imported.unused_because is None
    assert content(imported.box.folder) == before
    assert cache.find(box.digest) == imported.box == dataclasses.replace(box, folder=cache.root() / box.digest)
    assert boxes.verify("debian-12") == []
    assert boxes.build(RECIPE, SilentWatcher()) == imported.box


def test_the_same_box_is_always_the_same_file(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge()
    assert export(box, tmp_path / "one").read_bytes() == export(box, tmp_path / "two").read_bytes()


def test_the_disk_inside_the_vagrant_box_is_written_once(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge(disk=os.urandom(200_000))
    assert export(box, tmp_path / "file").stat().st_size < 250_000


def test_the_file_is_a_tar_whose_first_member_lists_the_others(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    with tarfile.open(export(forge(), tmp_path / "file")) as opened:
        first, *others = opened.getnames()
        listed = json.load(opened.extractfile(first))  # type: ignore[arg-type]
    assert first == "harness-box.json"
    assert [one["path"] for one in listed["files"]] == others


def test_a_provisioned_machine_brings_the_box_that_it_was_made_from(
    to_cache: Callable[[str], Path], tmp_path: Path
) -> None:
    box = forge()
    machine = forge_provisioned(box)
    carried = export(transfer.select(machine.folder.name[:70]), tmp_path / "file")
    to_cache("there")
    imported = import_file(carried)
    assert [one.state for one in imported] == ["new", "new"]
    assert [one.unused_because for one in imported] == [None, None]
    assert cache.find(box.digest) == imported[0].box
    assert provisioned.find(provisioned.key(box.digest, ROLES)) == imported[1].box


def test_a_machine_whose_box_is_gone_cannot_be_exported(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge()
    machine = forge_provisioned(box)
    boxes.remove(box)
    with pytest.raises(BoxError, match="runs need both"):
        export(machine, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_second_import_changes_nothing_and_says_so(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge()
    carried = export(box, tmp_path / "file")
    (imported,) = import_file(carried)
    assert imported.state == "here already"
    assert left_over() == [box.digest]


def test_another_box_of_the_same_recipe_is_not_replaced(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    carried = export(forge(b"their disk"), tmp_path / "file")
    to_cache("there")
    ours = forge(b"our disk")
    with pytest.raises(BoxError, match="another box of the same recipe") as caught:
        import_file(carried)
    assert "harness box rm debian-12" in str(caught.value.hint)
    assert ours.image.read_bytes() == b"our disk"
    assert left_over() == [ours.digest]


def test_a_machine_arrives_beside_another_box_of_the_same_recipe(
    to_cache: Callable[[str], Path], tmp_path: Path
) -> None:
    carried = export(forge_provisioned(forge(b"their disk")), tmp_path / "file")
    to_cache("there")
    ours = forge(b"our disk")
    base, machine = import_file(carried)
    assert "it stays" in base.state
    assert machine.state == "new"
    assert ours.image.read_bytes() == b"our disk"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("recipe", "the recipe debian-12.yaml here differs"),
        ("files", "another version of harness built it"),
        ("lock", "it was built from a lock"),
    ],
)
def test_a_box_that_no_run_would_use_says_why(
    to_cache: Callable[[str], Path], tmp_path: Path, changed: str, reason: str
) -> None:
    carried = export(forge(**{changed: "f" * 64}), tmp_path / "file")
    to_cache("there")
    (imported,) = import_file(carried)
    assert reason in str(imported.unused_because)


def test_a_changed_box_is_not_exported(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge()
    box.image.write_bytes(b"DISK" * 1000)
    with pytest.raises(DamagedBoxError, match="has changed"):
        export(box, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_box_that_does_not_say_what_it_was_made_from_is_not_exported(
    to_cache: Callable[[str], Path], tmp_path: Path
) -> None:
    box = forge()
    cache.write_manifest(box.folder, box)
    with pytest.raises(BoxError, match="older version"):
        export(box, tmp_path / "file")


def test_a_name_means_the_box_that_a_run_would_use_and_a_digest_means_any(to_cache: Callable[[str], Path]) -> None:
    current, other = forge(), forge(files="f" * 64)
    assert transfer.select("debian-12") == current
    assert transfer.select(other.digest[:8]) == other
    with pytest.raises(BoxError, match="no box 'debian-13'") as caught:
        transfer.select("debian-13")
    assert other.digest[:12] in str(caught.value.expected)


def test_a_digest_of_several_machines_means_the_newest(to_cache: Callable[[str], Path]) -> None:
    box = forge()
    machine, newer = forge_provisioned(box, b"disk"), forge_provisioned(box, b"newer disk")
    assert transfer.select(machine.digest[:12]) == newer
    assert transfer.select(machine.folder.name) == machine


def test_a_name_of_several_boxes_that_no_run_would_use_is_not_guessed(to_cache: Callable[[str], Path]) -> None:
    one, two = forge(files="e" * 64), forge(files="f" * 64)
    with pytest.raises(UsageError) as caught:
        transfer.select("debian-12")
    for box in (one, two):
        assert box.digest[:12] in str(caught.value.expected)


@pytest.mark.parametrize("text", [b"", b"not a box", b"\0" * 2048, b"x" * 4096])
def test_a_file_that_holds_no_box_is_refused(to_cache: Callable[[str], Path], tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(BoxError) as caught:
        import_file(path)
    assert caught.value.where == str(path)
    assert left_over() == []


def test_another_tar_is_refused(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "file", "w") as other:
        other.add(__file__, "../../etc/passwd")
    with pytest.raises(BoxError, match="stands where harness-box"):
        import_file(tmp_path / "file")


def test_a_pipe_and_a_folder_are_no_files_to_import_and_nothing_waits(
    to_cache: Callable[[str], Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, problem in ((tmp_path / "pipe", "it is a device, a pipe"), (tmp_path, "Is a directory")):
        with pytest.raises(BoxError, match=problem) as caught:
            import_file(path)
        assert caught.value.where == str(path)


def test_a_folder_a_missing_folder_and_the_cache_are_no_places_for_an_exported_box(
    to_cache: Callable[[str], Path], tmp_path: Path
) -> None:
    box = forge()
    before = content(box.folder)
    (tmp_path / "link").symlink_to(box.image)
    for target in (tmp_path, tmp_path / "none" / "file", box.image, box.folder / "x", tmp_path / "link"):
        with pytest.raises(UsageError) as caught:
            export(box, target)
        assert caught.value.where == str(target)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="a pipe"):
        export(box, tmp_path / "pipe")
    assert content(box.folder) == before


def test_of_two_exports_into_one_file_the_last_one_is_there_as_a_whole(
    to_cache: Callable[[str], Path], tmp_path: Path
) -> None:
    box, other = forge(), forge(files="f" * 64)
    begun: list[Path] = []

    class Meanwhile(SilentWatcher):
        def note(self, text: str) -> None:
            if text == "writing" and not begun:
                begun.append(tmp_path / "file")
                export(other, tmp_path / "file")

    transfer.export(box, tmp_path / "file", Meanwhile())
    assert box.digest in {member.path.split("/")[1] for member in archive.Reader(tmp_path / "file").members()}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]


@pytest.mark.parametrize("shortened", [False, True])
def test_a_box_that_changes_while_it_is_exported_is_an_error_and_leaves_no_file(
    to_cache: Callable[[str], Path], tmp_path: Path, shortened: bool
) -> None:
    box = forge()
    files = {f"boxes/{box.digest}/{path.name}": path for path in sorted(box.folder.iterdir())}

    def change(_: float) -> None:
        if shortened:
            box.vmlinuz.write_bytes(b"")
        elif box.vmlinuz.exists():
            box.vmlinuz.unlink()

    with pytest.raises(BoxError, match="vmlinuz changed while it was exported"):
        archive.write(tmp_path / "file", files, change)
    assert not (tmp_path / "file").exists()


def test_a_vagrant_box_that_is_no_tar_is_carried_too(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    box = forge()
    box.path.write_bytes(b"no tar" * 1000)
    cache.write_manifest(box.folder, box, made_from=cache.inputs(RECIPE, None))
    carried = export(box, tmp_path / "file")
    to_cache("there")
    assert import_file(carried)[0].box.path.read_bytes() == b"no tar" * 1000


def test_a_missing_file_is_named(to_cache: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="No such file"):
        import_file(tmp_path / "none")


def set_path(value: str) -> Callable[[dict[str, Any]], None]:
    return lambda listed: listed["files"][0].update(path=value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda listed: listed.update(schema=99), "a newer harness wrote this file"),
        (lambda listed: listed.update(kind="other"), "this file holds no box"),
        (lambda listed: listed.update(files=7), "list of files is wrong"),
        (lambda listed: listed.update(files=[]), "list of files is wrong: it is empty"),
        (lambda listed: listed["files"].append(listed["files"][0]), "is there twice"),
        (set_path("../../../etc/passwd"), "is no path in the cache"),
        (set_path("/etc/passwd"), "is no path in the cache"),
        (set_path(f"boxes/{'a' * 64}/../x"), "is no path in the cache"),
        (set_path(f"boxes/{'a' * 64}/.."), "is no path in the cache"),
        (lambda listed: listed["files"][0].update(size=-1), "has no size"),
        (lambda listed: listed["files"][0].update(size=10**15), "has no size"),
        (lambda listed: listed["files"][0].update(sha256="x"), "has no SHA-256"),
        (lambda listed: listed["files"][0].update(held={"path": listed["files"][1]["path"], "offset": 0}), "before it"),
        (lambda listed: listed["files"][0].update(sha256="0" * 64), "is damaged: its SHA-256 is not"),
        (lambda listed: listed["files"][0].update(size=listed["files"][0]["size"] + 1000), "has 4000 bytes in it"),
        (lambda listed: (listed["files"].pop(), listed)[1], "has something after its end"),
        (lambda listed: listed.update(schema="1"), "this file holds no box"),
        (lambda listed: [7], "list of files cannot be read"),
        (lambda listed: listed["files"][0].update(held=7), "list of files is wrong"),
        (lambda listed: listed["files"][1].update(held={"path": ["a"], "offset": 0}), "list of files is wrong"),
    ],
)
def test_a_list_of_files_that_is_wrong_is_refused(
    to_cache: Callable[[str], Path], tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    carried = export(forge(), tmp_path / "file")
    to_cache("there")
    with pytest.raises(BoxError, match=problem):
        import_file(rewritten(carried, change))
    assert left_over() == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": 99}, "schema is 99, expected: less than or equal to 2"),
        ({"digest": "0" * 64}, "its digest is not"),
        ({"name": "../x"}, "name is '../x'"),
        ({"kernel": 7}, "kernel is 7, expected: text"),
        ({"lock": "0" * 64}, "its digest is not"),
        ({"inputs": {}}, "its digest is not"),
        ({"inputs": None}, "does not say what it was made from"),
        ({"image_sha256": "0" * 64}, "its disk is another one"),
        ({"parts": {}}, "its parts lack"),
        ({"parts": 7}, "parts is 7, expected: a mapping"),
    ],
)
def test_a_box_that_does_not_match_its_own_description_is_refused(
    to_cache: Callable[[str], Path], tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    box = forge()
    path = box.folder / "box.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    files = {f"boxes/{box.digest}/{file.name}": file for file in sorted(box.folder.iterdir())}
    archive.write(tmp_path / "file", files, lambda share: None)
    to_cache("there")
    with pytest.raises(BoxError, match=problem):
        import_file(tmp_path / "file")
    assert left_over() == []


@pytest.mark.parametrize(
    "place", ["boxes/" + "0" * 64, "boxes/" + "0" * 64 + "-" + "0" * 12, "provisioned/" + "0" * 64]
)
def test_a_box_that_would_land_in_a_place_that_is_not_its_own_is_refused(
    to_cache: Callable[[str], Path], tmp_path: Path, place: str
) -> None:
    files = {f"{place}/{file.name}": file for file in sorted(forge().folder.iterdir())}
    archive.write(tmp_path / "file", files, lambda share: None)
    to_cache("there")
    with pytest.raises(BoxError, match="it is that of"):
        import_file(tmp_path / "file")
    assert left_over() == []


def test_a_full_disk_leaves_nothing_behind(
    to_cache: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = export(forge(), tmp_path / "file")
    to_cache("there")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive.Reader, "_copy", full)
    with pytest.raises(HostError, match="the disk is full"):
        import_file(carried)
    assert left_over() == []


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(
    to_cache: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = export(forge(), tmp_path / "file")
    to_cache("there")
    free = builder.shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(builder.shutil, "disk_usage", lambda _: free)
    with pytest.raises(HostError, match="not enough disk space to import this file"):
        import_file(carried)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), of_box=st.booleans())
def test_a_file_whose_list_or_description_somebody_changed_is_refused_or_brings_the_same_box(
    to_cache: Callable[[str], Path], tmp_path: Path, data: st.DataObject, of_box: bool
) -> None:
    to_cache("here")
    boxes_here = boxes.ls()
    box = boxes_here[0].box if boxes_here else forge()
    files = {f"boxes/{box.digest}/{path.name}": path for path in sorted(box.folder.iterdir())}
    if of_box:
        described = files[f"boxes/{box.digest}/box.json"] = tmp_path / "box.json"
        described.write_text(json.dumps(mutated(data, json.loads((box.folder / "box.json").read_text()))))
    archive.write(tmp_path / "file", files, lambda share: None)
    if not of_box:
        rewritten(tmp_path / "file", lambda listed: mutated(data, listed))
    to_cache("there")
    try:
        (imported,) = import_file(tmp_path / "file")
    except HostError:  # BoxError is one
        assert left_over() == []
    else:
        assert imported.box.image.read_bytes() == box.image.read_bytes()
        assert boxes.damaged() == []
        boxes.remove(imported.box)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_a_file_ends_in_a_changed_box(
    to_cache: Callable[[str], Path], tmp_path: Path, data: st.DataObject
) -> None:
    to_cache("here")
    boxes_here = boxes.ls()
    box = boxes_here[0].box if boxes_here else forge(b"disk" * 300)
    whole = export(box, tmp_path / "file").read_bytes()
    damaged = bytearray(whole)
    if data.draw(st.booleans(), label="cut off"):
        del damaged[data.draw(st.integers(0, len(whole) - 1), label="length") :]
    for _ in range(data.draw(st.integers(0 if len(damaged) < len(whole) else 1, 3), label="flips")):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1), label="at")
            damaged[at] ^= data.draw(st.integers(1, 255), label="bits")
    (tmp_path / "damaged").write_bytes(damaged)
    to_cache("fuzzed")
    try:
        imported = import_file(tmp_path / "damaged")
    except HarnessError:
        assert left_over() == []
    else:  # the damage was in padding or in a field that nothing reads
        assert content(imported[0].box.folder) == content(box.folder)
        boxes.remove(imported[0].box)
