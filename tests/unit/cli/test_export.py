"""`harness export`, on the run folder of a real campaign; what it writes is unpacked with plain tar."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import comparable_run
import pytest
import written_before
from command_line import harness
from full_disk import fill_disk
from killed import moments, run_killed

from harness.campaign import spec_change
from harness.campaign.steps import files_of
from harness.progress import SilentWatcher
from harness.store import RunFolder, experiment_file, run_archive
from harness.temporary import sweep


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a key in `machine`, an experiment file as of today, a label, and a file that no step lists."""
    written_before.unpack(tmp_path)
    run = tmp_path / written_before.RUN
    folder = RunFolder.open(run)
    with folder.lock():
        folder.update(**experiment_file.facts(folder.experiment, run.name))
        experiment_file.write(run, folder.experiment)
    (run / "machine" / "guest").mkdir(parents=True)
    (run / "machine" / "guest" / "id_ed25519").write_text("PRIVATE KEY")
    (run / "label.txt").write_text("for you\n")
    (run / "trials" / "notes.txt").write_text("mine")
    return run


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack an archive as a colleague does; return the folder of the run in it."""
    folder.mkdir()
    subprocess.run(["tar", "xf", archive], cwd=folder, check=True)
    (run,) = folder.iterdir()
    return run


def files(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_colleague_verifies_shows_reports_runs_and_repeats_what_tar_unpacks(run: Path, tmp_path: Path) -> None:
    before = files(run)
    archive = tmp_path / "run.tar.gz"
    answer = harness("export", run, archive).stdout
    assert "not in it, because no step lists them: trials/notes.txt" in answer
    assert f"tar xf run.tar.gz && harness verify {run.name}" in answer
    assert files(run) == before
    there = unpacked(archive, tmp_path / "there")
    assert files(there).keys() == before.keys() - {"machine/guest/id_ed25519", "trials/notes.txt", ".lock"}
    kept = run.rename(tmp_path / "elsewhere")
    assert "every file is as recorded" in harness("verify", there).stdout
    assert "for you" in harness("show", there).stdout
    assert 'id="label"' in Path(harness("report", there).stdout.strip()).read_text("utf-8")
    assert "000_nginx_ab" in harness("run", there / "experiment.yaml", "--dry-run").stdout
    assert "14 within 1 %" in harness("repeat", there, "--with", kept).stdout


def test_the_same_run_gives_the_same_bytes_wherever_and_whenever_it_lies(run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    facts = json.loads(harness("export", run, first, "--json").stdout)
    copy = tmp_path / "copy" / run.name
    shutil.copytree(run, copy)  # in another order, with other owners of its folders
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert json.loads(harness("export", copy, second, "--json").stdout)["sha256"] == facts["sha256"]
    assert first.read_bytes() == second.read_bytes()
    again = tmp_path / "again.tar.gz"
    harness("export", unpacked(first, tmp_path / "there"), again)
    assert again.read_bytes() == first.read_bytes()


def test_a_file_is_new_and_outside_of_the_run_and_a_folder_is_one_for_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "link.tar.gz").symlink_to("nowhere")
    monkeypatch.chdir(run)
    assert harness("export", ".", "../stick").stdout.startswith(f"../stick/{run.name}.tar.gz: ")
    packed = files(tmp_path / "stick")
    before = files(run)
    for file, problem in {
        "../stick": "exists already",
        "../link.tar.gz": "exists already",
        "../nowhere/a.tar.gz": "no such folder",
        "-": "no name of a tar.gz",
        "../a.zip": "no name of a tar.gz",
        "models/a.tgz": "in the run itself",
    }.items():
        assert problem in harness("export", ".", file, code=2).stderr
    assert "in the run itself" in harness("export", ".", code=2).stderr
    assert (files(run), files(tmp_path / "stick")) == (before, packed)


def test_a_full_disk_leaves_no_part_of_an_archive(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(monkeypatch, tmp_path)
    assert "the disk is full" in harness("export", run, tmp_path / "a.tar.gz", code=3).stderr
    assert not list(tmp_path.glob("*.tar.gz"))


def test_a_failed_run_has_its_failed_trials_and_their_attempts_and_the_models_that_were_set_aside(
    run: Path, tmp_path: Path
) -> None:
    trial, name = run / "trials" / "000_nginx_ab", "000_nginx_ab-1"
    verdict = json.loads((trial / "trial.json").read_bytes()) | {
        "verdict": {"ok": False, "checks": [{"name": "idle_share", "ok": False, "value": 0.9, "limit": "at most 0.5"}]}
    }
    (trial / "trial.json").write_text(json.dumps(verdict))
    shutil.copytree(trial, run / "attempts" / name)
    folder = RunFolder.open(run)
    fewer = folder.experiment.model.model_copy(update={"predictors": ("markov", "lstm")})
    spec_change.make(folder, folder.experiment.model_copy(update={"model": fewer}), ["harness", "run", "--resume"])
    with folder.lock():
        folder.finish(f"attempt:{name}", files_of(run / "attempts" / name))
        folder.begin("trial:000_nginx_ab")
        folder.fail("trial:000_nginx_ab", "the guest idled")
        folder.update(state="failed")
    (trial / ".perf.data.tmp").write_text("half")
    answer = harness("export", run, tmp_path / "a.tar.gz")
    assert "the run is failed: files of unfinished trials have no SHA-256" in answer.stderr
    there = unpacked(tmp_path / "a.tar.gz", tmp_path / "there")
    missing = files(run).keys() - files(there).keys()
    assert missing == {"machine/guest/id_ed25519", "trials/notes.txt", "trials/000_nginx_ab/.perf.data.tmp", ".lock"}
    assert "models.set-aside/most_frequent_s0/scores.json" in files(there)
    shown = [harness("show", path).stdout.replace(str(path), "") for path in (run, there)]
    assert shown[0] == shown[1]
    page = Path(harness("report", there).stdout.strip()).read_text("utf-8")
    assert "000_nginx_ab: idle share 0.9, limit at most 0.5" in page
    assert "attempt 1 may not be used: idle share 0.9" in page


def test_a_run_under_way_is_refused_and_one_that_is_exported_cannot_begin(run: Path, tmp_path: Path) -> None:
    with RunFolder.open(run).lock():
        assert f"process {os.getpid()}" in harness("export", run, tmp_path / "a.tar.gz", code=1).stderr

    class Begins(SilentWatcher):
        def note(self, text: str) -> None:
            if text == "manifest.json":  # once is enough: each waits a second for the lock
                assert "another process works" in harness("report", run, code=1).stderr

    run_archive.write(RunFolder.open(run), tmp_path / "a.tar.gz", Begins())
    with RunFolder.open(run).lock():
        pass


def test_a_run_that_is_not_as_written_is_packed_only_if_asked_to(run: Path, tmp_path: Path) -> None:
    (run / "trials/000_nginx_ab/guest.json").write_text("{}")
    (run / "models/lstm_s0/scores.json").unlink()
    archive = tmp_path / "a.tar.gz"
    error = harness("export", run, archive, code=1).stderr
    assert "models/lstm_s0/scores.json: missing" in error
    assert "and 1 more" in error
    assert not list(tmp_path.glob("*a.tar.gz*"))
    assert "guest.json: changed" in harness("export", run, archive, "--damaged").stderr
    there = unpacked(archive, tmp_path / "there")
    problems = json.loads(harness("verify", there, "--json", code=1).stdout)["problems"]
    assert [problem["kind"] for problem in problems] == ["changed", "missing"]


def test_no_link_and_no_manifest_of_somebody_else_gives_away_a_file(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("PRIVATE KEY")
    for path, target in {"trials/out": tmp_path / "secret", "trials/key": run / "machine/guest/id_ed25519"}.items():
        (run / path).symlink_to(target)
    (run / "trials/loop").symlink_to("loop")
    (run / "label.txt").unlink()
    (run / "label.txt").symlink_to(tmp_path / "secret")
    manifest = json.loads((run / "manifest.json").read_bytes())
    wanted = [
        "trials/loop",
        "trials/out",
        "trials/key",
        "machine/guest/id_ed25519",
        "./machine/guest/id_ed25519",
    ]
    manifest["steps"]["report"]["outputs"] = dict.fromkeys(wanted, "ab" * 32)
    (run / "manifest.json").write_text(json.dumps(manifest))
    archive = tmp_path / "a.tar.gz"
    harness("export", run, archive, code=1)
    facts = json.loads(harness("export", run, archive, "--damaged", "--json").stdout)
    assert {problem["path"] for problem in facts["problems"]} == {*wanted, "label.txt", "manifest.json"}
    assert b"PRIVATE KEY" not in b"".join(files(unpacked(archive, tmp_path / "there")).values())


def test_paths_of_this_host_in_the_records_are_named_and_so_is_a_run_that_is_not_done(tmp_path: Path) -> None:
    run = comparable_run.make(
        tmp_path / "run",
        command=["harness", "run", "/home/me/load.yaml"],
        spec_source="/home/me/load.yaml",
        repeats={"run": "other", "path": "/home/me/runs/other"},
        error="a/b failed",
        state="interrupted",
    )
    run.event("warning", text="see /home/me/runs/console.log")
    written = harness("export", run.path, tmp_path / "a.tar.gz")
    places = "command, spec_source, repeats.path, events.jsonl"
    assert f"paths of the host are in the records, and may be on the page: {places}" in written.stdout
    assert "harness run --resume" in written.stderr


def test_a_name_that_is_no_utf8_and_long_paths_come_out_as_they_went_in(run: Path, tmp_path: Path) -> None:
    odd = run.rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/-\xff\n" + b"n" * 150)))
    harness("export", odd, tmp_path / "a.tar.gz")
    there = unpacked(tmp_path / "a.tar.gz", tmp_path / "there")
    assert there.name == odd.name
    harness("verify", there)


def test_an_export_that_is_killed_leaves_no_file_or_a_whole_one(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    def export(name: str) -> None:
        run_archive.write(RunFolder.open(run), folder / name, SilentWatcher())

    export("whole")
    for number in moments(lambda: export("count"), folder):
        run_killed(lambda number=number: export(str(number)), folder, number)  # type: ignore[misc]
        archive = folder / str(number)
        assert not archive.exists() or archive.read_bytes() == (folder / "whole").read_bytes()
        sweep(folder)
        assert not list(folder.glob(".*"))
    assert (folder / "whole").exists()
