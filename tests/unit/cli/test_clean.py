"""`harness clean` on a campaign with a fake machine; its recordings, tables, model and report are real."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import written_before
from command_line import harness
from fakes import BASE, World
from killed import places, run_killed

import harness as api
import model
from harness import cleaned_tables, spec
from harness.campaign.attempt import Attempt
from harness.campaign.loop import Campaign
from harness.cli.output import Output
from harness.errors import HostError, StoreError
from harness.files import sha256
from harness.plan import Trial
from harness.progress import SilentWatcher
from harness.recorded_clock import RecordedClock
from harness.store import RunFolder, lock
from harness.trace import ingest

TRIALS = ("000_nginx_ab", "001_nginx_ab")
TABLES = ("switches", "wakeups", "slices", "runtimes")
WHEN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d[.\d]*Z?)?|\d\d:\d\d:\d\d")


class Recorded(World):
    """Writes the trial.json of a trial, too, and tables of the clock that it names."""

    def _attempt(self, host: Any, trial: Trial, folder: Path, number: int, machine: Any, *rest: Any) -> Attempt:
        made = super()._attempt(host, trial, folder, number, machine, *rest)
        ingest(folder / "perf.data.zst", folder, RecordedClock.of(machine).about())
        facts = {"name": trial.name, "arm": trial.arm.name, "machine": machine, "switches": 1}
        (folder / "trial.json").write_text(json.dumps({**facts, "verdict": {"ok": True, "checks": []}}))
        return made


def trained_here(
    jobs: Iterable[tuple[str, Any]], work: Any, *, on_progress: Any, **_: Any
) -> Iterator[tuple[str, Any]]:
    for name, job in jobs:
        yield name, work(job, lambda *progress, name=name: on_progress(name, *progress))


def campaign(folder: RunFolder) -> Campaign:
    return Campaign(folder.experiment, folder, Output(quiet=True).view(), effects=Recorded().effects())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = spec.from_dict({**BASE, "model": {"predictors": ["markov"]}})
    folder = RunFolder.create(tmp_path_factory.mktemp("recorded"), experiment, ["harness", "run"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.workers.run_in_processes", trained_here)
        assert campaign(folder).run().ok
    return folder.path


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "runs" / recorded.name))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tables"


def tables(run: Path) -> dict[str, tuple[str, int]]:
    """The SHA-256 and the time of each table of the trials that is there."""
    found = sorted(run.glob("trials/*/*.parquet"))
    return {path.relative_to(run).as_posix(): (sha256(path), path.stat().st_mtime_ns) for path in found}


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_tables_are_removed_and_the_report_makes_them_again_with_their_times_and_is_the_same(run: Path) -> None:
    harness("report", run)
    page, before = (run / "report" / "index.html").read_text(), tables(run)
    asked = harness("clean", run, code=2)
    assert "--yes removes them without asking" in asked.stderr
    cleaned = harness("clean", run, "--yes")
    assert re.fullmatch(r"removed 8 tables, \d.*B\n", cleaned.stdout)
    assert tables(run) == {}
    assert harness("clean", run, "--yes").stdout == "nothing to clean\n"
    assert "every file is as recorded\n8 tables cleaned" in harness("verify", run).stdout
    harness("show", run)
    assert tables(run) == {}
    assert f"Make the tables of {TRIALS[0]} again" in harness("report", run).stderr
    assert tables(run) == before
    assert WHEN.sub("", (run / "report" / "index.html").read_text()) == WHEN.sub("", page)
    assert "cleaned" not in harness("verify", run).stdout
    assert RunFolder.open(run).manifest["cleaned"] == {}


def test_what_train_evaluate_predict_and_repeat_read_is_made_again_and_gives_the_same(
    run: Path, recorded: Path
) -> None:
    trial, stored = Path("trials") / TRIALS[1], recorded / "models" / "markov_s0"
    commands = [
        ["evaluate", "RUN", "-p", "markov", "--json"],
        ["evaluate", Path("RUN") / trial, "--model", stored, "--json"],
        ["predict", Path("RUN") / trial / "perf.data.zst", "--model", stored, "--json"],
    ]
    for command in commands:
        there, here = ([str(word).replace("RUN", str(each)) for word in command] for each in (recorded, run))
        harness("clean", run, "--yes")
        again = harness(*here).stdout
        strip = {"fit_seconds", "recording", "path"}
        assert _without(json.loads(again), strip) == _without(json.loads(harness(*there).stdout), strip)
    harness("clean", run, "--yes")
    assert harness("repeat", recorded, "--with", run).stdout.splitlines()[-1].startswith("equal: ")


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value


def test_a_resumed_run_makes_them_again_and_neither_records_nor_trains(run: Path) -> None:
    before = tables(run)
    harness("clean", run, "--yes")
    folder = RunFolder.open(run)
    assert folder.is_done(f"trial:{TRIALS[0]}")
    assert campaign(folder).run().ok
    assert tables(run) == before
    begun = [event["step"] for event in folder.events() if event["kind"] == "begin"]
    assert begun.count(f"trial:{TRIALS[0]}") == begun.count("model:markov_s0") == 1


def test_a_recording_that_is_made_anew_forgets_the_tables_of_the_one_before(run: Path) -> None:
    harness("clean", run, "--yes")
    change(run / "trials" / TRIALS[0] / "perf.data.zst")
    folder = RunFolder.open(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.workers.run_in_processes", trained_here)
        assert campaign(folder).run().ok
    assert (folder.verify(), folder.manifest["cleaned"]) == ([], {})


def test_python_sees_the_same_tables_and_only_makes_those_that_it_reads(run: Path, recorded: Path) -> None:
    harness("clean", run, "--yes")
    first, second = api.open_run(run).trials
    with pytest.raises(model.errors.PredictionError, match="removed by `harness clean`"):
        model.evaluate("markov", str(run))
    assert first.tables == api.open_run(recorded).trials[0].tables
    assert tables(run) == {}
    assert first.table("slices").equals(api.open_run(recorded).trials[0].table("slices"))
    assert set(tables(run)) == {f"trials/{TRIALS[0]}/{table}.parquet" for table in TABLES}
    with pytest.raises(model.errors.PredictionError, match="removed by `harness clean`"):
        model.evaluate("markov", str(run))  # would go without the second trial
    assert len(model.evaluate("markov", api.open_run(run)).by_trial()) == 2
    assert second.path.joinpath("slices.parquet").is_file()


def test_a_cleaned_run_is_exported_cleaned_and_whole_for_who_unpacks_it(run: Path, tmp_path: Path) -> None:
    there, before = tmp_path / "there", tables(run)
    harness("clean", run, "--yes")
    exported = json.loads(harness("export", run, tmp_path / "a.tar.gz", "--json").stdout)
    assert (exported["problems"], [path for path in exported["files"] if path.endswith("slices.parquet")]) == ([], [])
    there.mkdir()
    subprocess.run(["tar", "xf", tmp_path / "a.tar.gz"], cwd=there, check=True)
    assert "8 tables cleaned" in harness("verify", there / run.name).stdout
    harness("report", there / run.name)
    assert tables(there / run.name) == before
    harness("verify", there / run.name)


def test_a_recording_that_was_changed_makes_nothing_and_is_named(run: Path) -> None:
    harness("clean", run, "--yes")
    recording = run / "trials" / TRIALS[0] / "perf.data.zst"
    change(recording)
    before = content(run)
    for command in (["report", run], ["evaluate", run, "-p", "markov"], ["repeat", run, "--with", run]):
        assert f"{recording}: perf.data.zst is not the file that the run wrote" in harness(*command, code=1).stderr
    assert content(run) == before
    wrong = harness("verify", run, code=1).stdout
    assert wrong.count("perf.data.zst, which could make it again, is not as it was written") == 4
    assert "4 tables cleaned" in wrong


def test_a_changed_table_or_recording_stays_as_it_is_and_is_named(run: Path) -> None:
    change(run / "trials" / TRIALS[0] / "slices.parquet")
    change(run / "trials" / TRIALS[1] / "perf.data.zst")
    before = tables(run)
    answer = json.loads(harness("clean", run, "--yes", "--json", code=1).stdout)
    assert (answer["removed"], answer["bytes"], tables(run)) == ([], 0, before)
    assert [row["trial"] for row in answer["left"]] == list(TRIALS)
    assert "slices.parquet is not the file" in answer["left"][0]["why"]


def test_tables_of_an_older_version_that_this_one_makes_otherwise_stay(tmp_path: Path) -> None:
    run = written_before.unpack(tmp_path) / written_before.RUN
    before = content(run / "trials")
    left = harness("clean", run, "--yes", code=1).stdout
    assert "nothing to clean\nleft: " in left
    assert re.search(r"makes another .* of its recording than harness 0\.1\.0", left.replace("\n", " "))
    assert content(run / "trials") == before
    harness("verify", run)


def test_a_dry_run_says_what_would_go_and_changes_nothing(run: Path) -> None:
    before = content(run)
    printed = harness("clean", run, "--dry-run").stdout.splitlines()
    assert printed[0].startswith(f"{run}  8 tables, ")
    assert printed[1].startswith("would remove 8 tables, ")
    assert content(run) == before


def test_without_names_all_runs_and_the_cache_are_cleaned_and_a_run_under_way_is_left(
    run: Path, recorded: Path, cache: Path
) -> None:
    other = Path(shutil.copytree(run, run.parent / "2026-01-01T00-00-00_other"))
    alone = shutil.copy(run / "trials" / TRIALS[0] / "perf.data.zst", run.parent / "x.zst")
    harness("evaluate", alone, "-p", "markov", code=1)  # it is not whole
    assert any(cache.rglob("slices.parquet"))
    assert "0 tables and those in the cache" in harness("clean", "--cache", "--dry-run", "--runs", run.parent).stdout
    with RunFolder.open(other).lock():
        assert f"process {os.getpid()}" in harness("clean", other, "--yes", code=1).stderr
        answer = json.loads(harness("clean", "--yes", "--json", "--runs", run.parent).stdout)
    assert {row["run"] for row in answer["removed"]} == {str(run)}
    assert [(row["run"], row["trial"]) for row in answer["left"]] == [(str(other), None)]
    assert answer["cache_bytes"] > 0
    assert not cache.exists()
    assert tables(other) == tables(recorded)
    assert harness("clean", run, "--yes").stdout == "nothing to clean\n"


def test_tables_that_a_process_reads_are_left_until_it_ends(run: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "of_a_recording").write_text("tables")
    with cleaned_tables.kept(run / "trials" / TRIALS[1]), lock.of_tables(cache, fcntl.LOCK_SH):
        before = tables(run)
        answer = json.loads(harness("clean", run, "--cache", "--yes", "--json", code=1).stdout)
        assert (answer["bytes"], [row["run"] for row in answer["left"]]) == (0, [str(cache), str(run), str(run)])
        assert all(row["why"] == "another process reads tables in this folder" for row in answer["left"])
        assert (tables(run), cache.exists()) == (before, True)
        harness("report", run)
    harness("clean", run, "--cache", "--yes")
    assert (tables(run), cache.exists()) == ({}, False)


def test_a_command_keeps_the_tables_that_it_reads_until_it_ends(
    run: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, left = shutil.copy(run / "trials" / TRIALS[0] / "perf.data.zst", run.parent / "x.zst"), []

    def clean_meanwhile(*_: Any) -> Any:
        left.extend(json.loads(harness("clean", run, "--cache", "--yes", "--json", code=1).stdout)["left"])
        return iter(())

    with monkeypatch.context() as patch:
        patch.setattr("model.data.find_recordings.recordings", clean_meanwhile)
        harness("evaluate", run, alone, "-p", "markov", code=1)
    assert len(left) == len([*TRIALS, cache])
    harness("clean", run, "--cache", "--yes")


def test_two_processes_that_need_the_same_tables_at_once_both_get_them(run: Path, recorded: Path) -> None:
    harness("clean", run, "--yes")
    missing = cleaned_tables.absent_at(run)
    with ThreadPoolExecutor(2) as threads, lock.of_tables(run / "trials", fcntl.LOCK_EX):
        waiting = [threads.submit(cleaned_tables.restore, missing) for _ in range(2)]
        assert tables(run) == {}
    results = [each.result() for each in waiting]
    assert (results, tables(run)) == ([None, None], tables(recorded))
    made = [event for event in RunFolder.open(run).events() if event["kind"] == "restore"]
    assert len(made) == len(TRIALS)


def test_a_process_that_is_killed_leaves_a_whole_run_and_the_next_ends_what_it_began(
    recorded: Path, tmp_path: Path
) -> None:
    def copy(name: str) -> RunFolder:
        return RunFolder.open(Path(shutil.copytree(recorded, tmp_path / name)))

    def clean(folder: RunFolder) -> None:
        with folder.lock():
            cleaned_tables.clean(cleaned_tables.removable(folder)[0], SilentWatcher())

    def both(folder: RunFolder) -> None:
        clean(folder)
        cleaned_tables.restore(cleaned_tables.absent(folder))

    counted = copy("count")
    reached = places(lambda: both(counted), tmp_path)
    own = [number for number, place in enumerate(reached, 1) if "cleaned_tables" in place]
    for number in sorted({later for each in own[::3] for later in (each, each + 2)}):  # and the manifest after them
        run = copy(str(number))
        run_killed(lambda run=run: both(run), tmp_path, number)  # type: ignore[misc]
        left = RunFolder.open(run.path)
        assert left.is_done(f"trial:{TRIALS[0]}")
        assert left.verify() == []
        both(left)
        assert tables(run.path) == tables(recorded)
        shutil.rmtree(run.path)


def test_tables_that_another_pyarrow_writes_otherwise_are_taken_over_with_their_hashes(run: Path) -> None:
    folder, trial = RunFolder.open(run), run / "trials" / TRIALS[0]
    rewritten = {}
    for path in trial.glob("*.parquet"):
        pq.write_table(pq.read_table(path), path, compression="snappy", row_group_size=500)
        rewritten[path.name] = sha256(path)
    facts = json.loads((trial / "recording.json").read_text())
    (trial / "recording.json").write_text(json.dumps({**facts, "table_sha256": rewritten, "sha256": None}))
    _seal(trial / "recording.json")
    with folder.lock():
        outputs = [run / path for path in folder.manifest["steps"][f"trial:{TRIALS[0]}"]["outputs"]]
        folder.finish(f"trial:{TRIALS[0]}", outputs, detail={"arm": "nginx_ab"})
    harness("clean", run, "--yes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.cleaned_tables.write_atomic", _fail)  # after the manifest is written
        with pytest.raises(HostError):
            cleaned_tables.restore(cleaned_tables.absent_at(run))
    harness("report", run)
    assert harness("verify", run).stdout.endswith("every file is as recorded\n")
    harness("evaluate", run, "-p", "markov")
    (event,) = [event for event in folder.events() if event["kind"] == "rewritten"]
    assert set(event["outputs"]) == {f"trials/{TRIALS[0]}/{name}" for name in (*rewritten, "recording.json")}


def _fail(*_: Any) -> None:
    raise HostError("the disk is full")


def _seal(path: Path) -> None:
    from harness.files import sealed

    path.write_text(json.dumps(sealed(json.loads(path.read_text())), indent=1) + "\n")


def test_a_version_that_makes_other_tables_says_which_one_wrote_them(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness("clean", run, "--yes")
    before = content(run)
    monkeypatch.setattr("harness.recorded_clock.RecordedClock.about", lambda _: {"clock": "another"})
    with pytest.raises(StoreError, match="makes another one of its recording") as refused:
        cleaned_tables.restore(cleaned_tables.absent_at(run))
    assert "harness trace convert" in (refused.value.hint or "")
    assert "that harness" in (refused.value.expected or "")
    assert content(run) == before


def test_a_run_that_cannot_be_written_to_says_what_to_do(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harness("clean", run, "--yes")

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    refused = harness("evaluate", run, "-p", "markov", code=3).stderr
    assert "were cleaned, and cannot be made again" in refused
    assert f"harness trace convert {run / 'trials' / TRIALS[0] / 'perf.data.zst'} --out FOLDER" in refused
