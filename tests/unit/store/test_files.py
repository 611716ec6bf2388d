"""Files are whole or not there: on a full disk, with a killed writer, with half a line in the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import LIMIT_S
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import spec, store
from harness.errors import EXIT_HOST, HostError, StoreError
from harness.store import RunFolder
from harness.writing import writing

DATA = {"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}}
KILLED = "import os, sys; from pathlib import Path; from harness.store import files\n\
os.fsync = lambda _: os._exit(9)\n\
files.write_atomic(Path(sys.argv[1]), 'new' * 1000)"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", spec.from_dict(DATA), [])


def test_what_is_written_is_there_and_has_its_hash(tmp_path: Path) -> None:
    store.write_atomic(tmp_path / "a", "é")
    store.write_atomic(tmp_path / "b", b"\xc3\xa9")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9"
    assert store.sha256(tmp_path / "a") == store.sha256(tmp_path / "b")
    assert store.sha256(tmp_path / "a") == "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"


def test_a_writer_that_is_killed_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=LIMIT_S)
    assert ended.returncode == 9
    assert path.read_text() == "old"


def test_a_full_disk_is_an_error_that_names_the_file_and_the_space_left() -> None:
    with (
        pytest.raises(HostError) as caught,
        writing(Path("/dev/full")),
        open("/dev/full", "wb", buffering=0) as sink,
    ):
        sink.write(b"x")
    assert caught.value.exit_code == EXIT_HOST
    assert "disk is full" in str(caught.value)
    assert "MB that are free" in str(caught.value)


def test_on_a_full_disk_the_manifest_stays_as_it_was_and_no_half_file_remains(folder: RunFolder) -> None:
    before = (folder.path / "manifest.json").read_bytes()
    code = "import resource, signal, sys; from pathlib import Path; from harness.store import RunFolder\n\
from harness.errors import HostError\n\
folder = RunFolder.open(Path(sys.argv[1]))\n\
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n\
sys.dont_write_bytecode = True  # half a file of that would stay, and stand in the way of everybody\n\
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n\
try: folder.update(note='x' * 5000)\n\
except HostError as error: print(error); sys.exit(error.exit_code)"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert ended.returncode == EXIT_HOST, ended.stderr
    assert "manifest.json could not be written" in ended.stdout
    assert (folder.path / "manifest.json").read_bytes() == before
    assert [path.name for path in folder.path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_folder_that_cannot_be_made_is_an_error_of_this_host(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(HostError, match="could not be written"):
        RunFolder.create(tmp_path / "runs", spec.from_dict(DATA))


def test_a_file_that_cannot_be_read_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        store.sha256(tmp_path / "none")


def test_events_are_kept_in_order_with_their_data(folder: RunFolder) -> None:
    folder.event("up", box="debian-12")
    folder.event("down", reason="a\nb é")
    events = folder.events()
    assert [event["kind"] for event in events] == ["up", "down"]
    assert events[1]["reason"] == "a\nb é"
    assert events[0]["time"].endswith("Z")


@settings(max_examples=40)
@given(cut=st.integers(1, 40))
def test_half_a_line_is_passed_over_and_the_next_one_starts_afresh(folder: RunFolder, cut: int) -> None:
    log = folder.path / "events.jsonl"
    log.unlink(missing_ok=True)
    folder.event("whole")
    folder.event("torn")
    os.truncate(log, log.stat().st_size - cut)
    folder.event("after")
    kinds = [event["kind"] for event in folder.events()]
    assert kinds == (["whole", "torn", "after"] if cut == 1 else ["whole", "after"])
