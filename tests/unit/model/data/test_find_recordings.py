from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model import jobs, predict
from model.data import find_recordings
from model.errors import SettingError, StreamError, TableError
from model.jobs import Job


def trial(run: Path, name: str, recording: Path, ok: bool = True, kernel: str = "6.1") -> Path:
    """A trial of a run, with the tables of `recording`."""
    folder = run / "trials" / name
    folder.mkdir(parents=True)
    (folder / "slices.parquet").write_bytes((recording / "slices.parquet").read_bytes())
    checks = [{"name": "lost events", "ok": ok}, {"name": "kernel", "ok": True}]
    (folder / "trial.json").write_text(json.dumps({"verdict": {"ok": ok, "checks": checks}}))
    (folder / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    return folder


def test_a_run_gives_its_good_trials_by_name(recording: Path, tmp_path: Path) -> None:
    for name, ok in (("001_b", True), ("000_a", True), ("002_c", False)):
        trial(tmp_path, name, recording, ok)
    assert [folder.name for folder in find_recordings.recordings([tmp_path])] == ["000_a", "001_b"]


def test_a_folder_of_tables_is_a_recording(recording: Path) -> None:
    assert find_recordings.recordings([recording]) == [recording]


def test_a_trial_whose_verdict_is_bad_is_refused_with_the_reason(recording: Path, tmp_path: Path) -> None:
    folder = trial(tmp_path, "000_a", recording, ok=False)
    for path in (folder, tmp_path):
        with pytest.raises(StreamError, match=r"verdict is bad \(lost events\)"):
            find_recordings.recordings([path])


def test_recordings_of_two_kernels_are_not_mixed(recording: Path, tmp_path: Path) -> None:
    trial(tmp_path, "000_a", recording, kernel="6.1")
    trial(tmp_path, "001_b", recording, kernel="6.12")
    with pytest.raises(StreamError, match=r"several kernels \(6\.1 in 000_a; 6\.12 in 001_b\)"):
        find_recordings.recordings([tmp_path])


def test_a_path_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="expected a run or its tables"):
        find_recordings.recordings([tmp_path])
    with pytest.raises(TableError, match="no recordings named"):
        find_recordings.recordings([])


def judged(folder: Path, **quality: object) -> Path:
    (folder / "recording.json").write_text(json.dumps({"quality": quality}))
    return folder


def test_a_recording_that_tells_no_slices_is_refused_with_the_reason(tmp_path: Path) -> None:
    judged(tmp_path, run_times=False, scope="some tasks", scope_evidence="its events were opened on one command")
    with pytest.raises(StreamError, match=r"tells no slices \(its events were opened on one command\)"):
        find_recordings.recordings([tmp_path])


def test_a_predictor_that_looks_at_run_queues_is_refused_a_recording_without_wakeups(
    recording: Path, tmp_path: Path
) -> None:
    shutil.copytree(recording, tmp_path / "tables")
    folder = judged(tmp_path / "tables", run_times=True, run_queues=False)
    with pytest.raises(StreamError, match="does not tell who could run"):
        jobs.run(Job((folder,), "cfs_replay", 0, "task", (0.7, 0.15, 0.15), tmp_path / "model", {}))
    find_recordings.require_run_queues("slices", [folder])


def test_a_stored_predictor_scores_another_recording(short_recording: Path, tmp_path: Path) -> None:
    jobs.run(Job((short_recording,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path, {}))
    whole, last = (predict.scores(tmp_path, [short_recording], share) for share in (1.0, 0.15))
    assert (whole["test_events"], last["test_events"]) == (2_000, 300)
    assert last["overall"] == json.loads((tmp_path / "scores.json").read_text())["overall"] | {
        name: pytest.approx(value) for name, value in last["overall"].items() if name.endswith("_ci")
    }


@pytest.mark.slow
def test_the_last_share_is_the_test_part_of_training_on_every_cpu(recording: Path, tmp_path: Path) -> None:
    def falling_silent(table: pa.Table) -> pa.Table:
        """Every third slice of the first third is of another CPU, and a few of the last sixth."""
        row = np.arange(len(table))
        cpu = ((row % 3 == 0) & (row < 7_000)) | ((row % 40 == 0) & (row > 18_000))
        return table.set_column(table.column_names.index("cpu"), "cpu", pa.array(cpu.astype(np.int16)))

    folder = shutil.copytree(recording, tmp_path / "two")
    pq.write_table(falling_silent(pq.read_table(folder / "slices.parquet")), folder / "slices.parquet")
    scored = jobs.run(Job((folder,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / "model", {}))
    again = predict.scores(tmp_path / "model", [folder], 0.15)
    assert again["test_events"] == scored["test_events"] == 3_000
    assert again["overall"]["bits_per_switch"] == scored["overall"]["bits_per_switch"]


def test_forecasts_stand_beside_the_real_events(recording: Path, tmp_path: Path) -> None:
    jobs.run(Job((recording,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path, {}))
    forecasts = predict.forecast(tmp_path, recording, events=5, top=2)
    assert [each.event for each in forecasts] == list(range(19_995, 20_000))
    assert all(len(each.likeliest) == 2 and each.likeliest[0][1] >= each.likeliest[1][1] for each in forecasts)
    assert all(each.mark.startswith("task") and each.median_us > 0 for each in forecasts)


def test_a_share_or_a_number_of_events_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="more than 0 and at most 1"):
        predict.scores(tmp_path, [], share=0)
    with pytest.raises(SettingError, match="at least one"):
        predict.forecast(tmp_path, tmp_path, events=0)


def test_a_recording_that_is_named_twice_is_refused(recording: Path, tmp_path: Path) -> None:
    run = trial(tmp_path, "000_a", recording).parents[1]
    with pytest.raises(StreamError, match="000_a is named twice"):
        find_recordings.recordings([run, run / "trials" / "000_a"])


@pytest.mark.slow
def test_recordings_that_a_model_learned_from_are_named_when_it_is_scored_on_them(
    short_recording: Path, tmp_path: Path
) -> None:
    seen, other = (trial(tmp_path / "run", name, short_recording) for name in ("000_a", "001_b"))
    jobs.run(Job((seen,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / "model", {}))

    def named(folders: list[Path], share: float) -> list[str]:
        return predict.scores(tmp_path / "model", folders, share)["also_learned_from"]

    assert named([seen, other], 1.0) == ["000_a"]
    assert named([other], 1.0) == []
    assert named([seen], 0.15) == []  # which it was kept from
