"""Files are whole or not there: on a full disk, and with a writer that is killed."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import LIMIT_S
from full_disk import fill_disk

from harness.errors import EXIT_HOST, HostError
from harness.files import atomic_file, atomic_path, sha256, used_folder, write_atomic

KILLED = "import os, sys; from pathlib import Path; from harness import files\n\
os.fsync = lambda _: os._exit(9)\n\
files.write_atomic(Path(sys.argv[1]), 'new' * 1000)"


def test_text_and_bytes_of_the_same_content_have_the_same_hash(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "é")
    write_atomic(tmp_path / "b", b"\xc3\xa9")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9"
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    assert sha256(tmp_path / "a") == "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"


def test_a_writer_that_is_killed_leaves_the_old_content_and_a_file_that_the_next_one_removes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)]) as killed:
        assert killed.wait(timeout=LIMIT_S) == 9
    assert path.read_text() == "old"
    [left] = [file.name for file in tmp_path.iterdir() if file != path]
    assert re.fullmatch(rf"\.a\.{killed.pid}\.[0-9a-f]{{8}}\.tmp", left)
    write_atomic(tmp_path / "b", "other")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_an_error_while_writing_leaves_the_old_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_file(path) as sink:
        sink.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]


def test_a_block_that_removes_its_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.unlink()
    assert path.read_text() == "old"


def test_a_file_system_that_cannot_flush_a_folder_is_good_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomic(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_a_full_disk_is_an_error_that_names_the_file_and_the_space_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill_disk(monkeypatch, tmp_path)
    with pytest.raises(HostError) as caught:
        write_atomic(tmp_path / "a", b"x")
    assert caught.value.exit_code == EXIT_HOST
    assert "disk is full: a could not be written" in str(caught.value)
    assert "MB that are free" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_refused_instead_of_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(HostError, match="this is a device, a pipe or a socket"):
        write_atomic(pipe, "text")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    for text in ("new", "newer"):
        write_atomic(link, text)
        assert (link.is_symlink(), target.read_text()) == (True, text)


def test_a_folder_that_is_left_empty_goes_with_those_made_for_it_and_no_others(tmp_path: Path) -> None:
    with used_folder(tmp_path / "a" / "b"), used_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with used_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
    (tmp_path / "mine").mkdir()
    with used_folder(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_host(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="could not be written"), used_folder(tmp_path / ("x" * 300)):
        pass
