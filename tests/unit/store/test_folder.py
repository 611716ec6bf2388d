"""A run folder: its name, manifest, steps, hashes and lock."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from command_line import LIMIT_S

from harness import spec, store
from harness.errors import EXIT_HOST, HostError, Interrupted, LockedError, SpecError, StoreError, UsageError
from harness.store import RunFolder, verify
from harness.store.manifest import host_id

DATA = {"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}}
HOLD = "import sys, time; from pathlib import Path; from harness.store import RunFolder\n\
with RunFolder.open(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(600)"

ASK = "import os, sys; from pathlib import Path; from harness.store import RunFolder\n\
if os.getuid() == 0: os.setuid(65534)\n\
print(RunFolder.open(Path(sys.argv[1])).state)"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", spec.from_dict(DATA, Path("x.yaml"), "name: x\n"), ["harness", "run"])


def write(folder: RunFolder, path: str, content: str = "data") -> Path:
    file = folder.path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_a_run_is_named_after_the_time_and_the_experiment(folder: RunFolder) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_x", folder.path.name)


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    made = [RunFolder.create(tmp_path, spec.from_dict(DATA)).path for _ in range(12)]
    assert len(set(made)) == 12
    assert store.find_runs(tmp_path)[-1] == made[-1]


def test_the_manifest_holds_the_experiment_the_versions_and_the_host(folder: RunFolder) -> None:
    manifest = RunFolder.open(folder.path).manifest
    assert manifest["schema_version"] == store.SCHEMA_VERSION
    assert manifest["command"] == ["harness", "run"]
    assert manifest["spec_text"] == "name: x\n"
    assert manifest["host"]["cores"] >= 1
    assert manifest["versions"]["packages"]["pydantic"]
    assert RunFolder.open(folder.path).experiment == folder.experiment


def test_a_step_is_done_only_while_its_files_are_unchanged(folder: RunFolder) -> None:
    file = write(folder, "trials/000_idle/perf.data")
    assert not folder.is_done("trial:000_idle")
    folder.begin("trial:000_idle")
    assert not folder.is_done("trial:000_idle")
    folder.finish("trial:000_idle", [file], 1.5, {"switches": np.int64(7), "share": float("nan"), "path": Path("a")})
    assert folder.is_done("trial:000_idle")
    assert RunFolder.open(folder.path).is_done("trial:000_idle")
    later_ns = file.stat().st_mtime_ns + 2_000_000_000  # later on any file system's clock
    file.write_text("Data")
    os.utime(file, ns=(later_ns, later_ns))
    assert not folder.is_done("trial:000_idle")
    file.unlink()
    assert not folder.is_done("trial:000_idle")
    assert folder.manifest["steps"]["trial:000_idle"]["detail"] == {"switches": 7, "share": None, "path": "a"}


def test_a_step_begun_again_is_not_done(folder: RunFolder) -> None:
    folder.finish("s", [write(folder, "trials/a/b")])
    folder.begin("s")
    assert not folder.is_done("s")
    assert folder.manifest["steps"]["s"]["outputs"] == {}


@pytest.mark.parametrize(
    ("error", "state"),
    [(ValueError("bad"), "failed"), (KeyboardInterrupt(), "interrupted"), (Interrupted("stop"), "interrupted")],
)
def test_a_stopped_step_is_interrupted_and_not_failed(folder: RunFolder, error: BaseException, state: str) -> None:
    folder.begin("s")
    folder.fail("s", error)
    assert folder.manifest["steps"]["s"]["state"] == state
    assert folder.manifest["steps"]["s"]["error"]
    assert not folder.is_done("s")


def test_an_output_that_is_missing_or_outside_of_the_run_folder_is_an_error(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    with pytest.raises(StoreError, match="did not write"):
        folder.finish("s", [folder.path / "none"])
    with pytest.raises(StoreError, match="outside"):
        folder.finish("s", [tmp_path / "outside"])
    assert not folder.is_done("s")


def test_verify_finds_files_that_are_changed_missing_or_extra(folder: RunFolder) -> None:
    files = [write(folder, f"trials/000_idle/{name}") for name in ("same", "changed", "missing")]
    folder.finish("trial:000_idle", files)
    assert folder.verify() == []
    stat = files[1].stat()
    files[1].write_text("DATA")
    os.utime(files[1], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    files[2].unlink()
    write(folder, "trials/000_idle/deep/extra")
    write(folder, "trials/001_idle/half_recorded")
    problems = {(problem.path.rpartition("/")[2], problem.kind) for problem in folder.verify()}
    assert problems == {("changed", "changed"), ("missing", "missing"), ("extra", "extra")}


def test_verify_finds_an_experiment_text_that_was_changed(folder: RunFolder) -> None:
    folder.update(spec_text="name: y\n")
    assert [problem.kind for problem in folder.verify()] == ["changed"]


@pytest.mark.slow
def test_a_second_process_learns_who_holds_the_lock_and_a_dead_process_holds_none(folder: RunFolder) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert folder.state == "running"
        with pytest.raises(LockedError, match=f"process {holder.pid}"), folder.lock():
            pytest.fail("two processes hold one lock")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert folder.state == "interrupted"
    with folder.lock():
        assert json.loads((folder.path / ".lock.json").read_text())["pid"] == os.getpid()


def test_two_that_ask_at_once_do_not_take_each_other_for_the_process_that_works_there(folder: RunFolder) -> None:
    folder.update(state="running")
    with folder.path.joinpath(".lock").open("wb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert RunFolder.open(folder.path).state == "interrupted"


def test_a_run_in_which_another_user_works_is_running() -> None:
    """A user who may not write to the lock: nobody where the tests are root's, else by the file's mode."""
    with tempfile.TemporaryDirectory() as runs:
        folder = RunFolder.create(Path(runs), spec.from_dict(DATA))
        with folder.lock():
            folder.update(state="running")
            os.chmod(runs, 0o755)
            os.chmod(folder.path / ".lock", 0o444)
            asked = subprocess.run([sys.executable, "-c", ASK, str(folder.path)], capture_output=True, timeout=LIMIT_S)
    assert asked.stdout == b"running\n", asked.stderr


def test_taking_the_lock_reads_the_manifest_again_and_removes_leftover_files(folder: RunFolder) -> None:
    other = RunFolder.open(folder.path)
    with other.lock():
        other.update(box={"name": "debian-12"})
    leftover = write(folder, "trials/a/.trial.json.12345678.tmp")
    with folder.lock():
        assert folder.manifest["box"] == {"name": "debian-12"}
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "damaged"),
        (b'{"schema_version": 1, "na', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[]", "its content is a list"),
        (b'{"schema_version": 99}', "schema_version 99"),
        (b'{"schema_version": 1}', "name is missing"),
        (b"[" * 100_000, "damaged"),
    ],
)
def test_a_damaged_or_unknown_manifest_is_an_error_and_never_a_run(
    folder: RunFolder, content: bytes, what: str
) -> None:
    (folder.path / "manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match=what):
        RunFolder.open(folder.path)


@pytest.mark.parametrize("step", [5, {"state": "done"}, {"state": "done", "outputs": {"../x": ""}}])
def test_a_manifest_with_invalid_steps_is_damaged(folder: RunFolder, step: object) -> None:
    path = folder.path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "steps": {"s": step}}))
    with pytest.raises(StoreError, match="damaged"):
        RunFolder.open(folder.path)


def test_an_invalid_state_is_refused_before_it_is_written(folder: RunFolder) -> None:
    with pytest.raises(StoreError, match="finished"):
        folder.update(state="finished")
    assert RunFolder.open(folder.path).manifest["state"] == "interrupted"  # nobody works in it


def test_runs_are_found_by_path_by_the_beginning_of_their_name_and_as_the_latest(tmp_path: Path) -> None:
    for name in ("2026-01-01T00-00-00_a", "2026-01-02T00-00-00_b", "no_run"):
        (tmp_path / name).mkdir()
        if name != "no_run":
            (tmp_path / name / "manifest.json").write_text("{}")
    assert [run.name[-1] for run in store.find_runs(tmp_path)] == ["a", "b"]
    assert store.resolve(tmp_path).name.endswith("_b")
    assert store.resolve(tmp_path, "2026-01-01").name.endswith("_a")
    assert store.resolve(tmp_path, str(tmp_path / "2026-01-01T00-00-00_a")).name.endswith("_a")
    with pytest.raises(UsageError, match="beginning of 2 runs"):
        store.resolve(tmp_path, "2026")
    with pytest.raises(UsageError, match="did you mean 2026-01-02"):
        store.resolve(tmp_path, "2026-01-02T00-00-00_bb")
    with pytest.raises(UsageError, match="no runs yet"):
        store.resolve(tmp_path / "none")


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


def test_a_folder_that_cannot_be_made_is_a_host_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(HostError, match="could not be written"):
        RunFolder.create(tmp_path / "runs", spec.from_dict(DATA))


def test_the_hash_of_a_missing_file_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        verify.sha256(tmp_path / "none")


def test_a_wrong_value_of_the_stored_experiment_is_said_to_be_in_the_manifest(folder: RunFolder) -> None:
    path = folder.path / "manifest.json"
    path.write_text(path.read_text().replace('"repeat": 3', '"repeat": "three"'))
    with pytest.raises(SpecError, match=r"trials\.repeat is 'three'") as caught:
        RunFolder.open(folder.path).experiment  # noqa: B018
    assert caught.value.where == str(path)


def test_a_run_of_before_there_were_blocks_boots_no_machine_for_them(tmp_path: Path) -> None:
    swept = spec.from_dict({**DATA, "sweep": {"record.seconds": [2, 3]}})
    folder = RunFolder.create(tmp_path, swept, [])
    assert folder.manifest["blocks"]["planned"] == swept.trials.repeat
    path = folder.path / "manifest.json"
    content = json.loads(path.read_text())
    for key in ("blocks", "sha256"):
        del content[key]
    for key in ("blocks", "reboot"):
        del content["spec"]["trials"][key]
    del content["spec"]["compare"]
    content["spec"]["trials"]["order"] = "shuffled"
    path.write_text(json.dumps(content))
    old = RunFolder.open(folder.path).experiment
    assert (old.reboot, old.trials.order, old.trials.blocks) == ("never", "blocks", "fixed")


def test_the_id_of_a_host_is_a_hash_of_its_machine_id(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    assert host_id(path) is None
    path.write_text("\n")
    assert host_id(path) is None
    path.write_text("0123456789abcdef0123456789abcdef\n")
    first = host_id(path)
    assert first is not None
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first not in path.read_text()
    path.write_text("fedcba9876543210fedcba9876543210\n")
    assert host_id(path) != first
