"""Commands find the recording that a path names, and make its tables where they need tables."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from kept import unpacked_into

from harness.cli.find_recording import find_recording
from harness.cli.made_tables import tables_of
from harness.cli.output import Output
from harness.errors import TraceError, UsageError

NAME = "debian12_guest_nginx_ab"
LIMIT_S = 240


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def trial(folder: Path, name: str = "perf.data.zst") -> Path:
    folder.mkdir(parents=True)
    (folder / name).touch()
    return folder


def test_a_trial_and_a_run_with_one_trial_have_a_recording(tmp_path: Path) -> None:
    first = trial(tmp_path / "run" / "trials" / "000_x")
    assert find_recording(first) == find_recording(tmp_path / "run") == first / "perf.data.zst"
    second = trial(tmp_path / "run" / "trials" / "001_x", "perf.data")
    with pytest.raises(UsageError) as caught:
        find_recording(tmp_path / "run")
    assert str(caught.value.expected) == f"one of {first}, {second}"
    threads = trial(tmp_path / "threads", "data")
    assert find_recording(threads) == threads


@pytest.mark.parametrize(
    ("file", "what"), [("slices.parquet", "tables, but not the recording"), ("x", "no recording in this folder")]
)
def test_a_folder_without_a_recording_is_a_wrong_argument(file: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=what):
        find_recording(trial(tmp_path / "folder", file))


def test_the_summary_of_a_run_is_that_of_its_recording(tmp_path: Path) -> None:
    recording = unpacked_into(trial(tmp_path / "run" / "trials" / "000_x", "log"), NAME)
    recording.rename(recording.parent / "perf.data")
    of_run = json.loads(harness("trace", "summary", str(tmp_path / "run"), "--json").stdout)
    assert of_run["quality"]["samples"] == 32_774


def test_tables_are_made_once_and_again_when_the_recording_changes(tmp_path: Path) -> None:
    recording, output = unpacked_into(tmp_path, NAME), Output(quiet=True)
    (folder,) = tables_of([recording], output)
    assert folder.name == recording.name
    written = (folder / "slices.parquet").stat().st_mtime_ns
    assert tables_of([recording, folder], output) == [folder, folder]
    assert (folder / "slices.parquet").stat().st_mtime_ns == written
    os.utime(recording, ns=(1, 1))
    assert tables_of([recording], output) != [folder]


def test_the_recording_of_a_trial_has_the_tables_of_the_trial(tmp_path: Path) -> None:
    folder = trial(tmp_path / "000_x")
    (folder / "slices.parquet").touch()
    (folder / "trial.json").touch()
    assert tables_of([folder / "perf.data.zst"], Output(quiet=True)) == [folder]


def test_the_text_of_perf_sched_map_says_that_it_tells_no_slices(tmp_path: Path) -> None:
    text = tmp_path / "map.txt"
    text.write_text("  *A0   0.000012 secs A0 => x:1\n  *.    0.000013 secs \n")
    with pytest.raises(TraceError, match="no slices to predict from") as caught:
        tables_of([text], Output(quiet=True))
    assert "perf script --ns" in str(caught.value.hint)


@pytest.mark.slow
def test_a_recording_its_tables_and_its_text_have_the_same_scores(tmp_path: Path) -> None:
    recording = unpacked_into(tmp_path, NAME)
    text = tmp_path / "script.txt"
    printed = ["perf", "script", "--ns", "--header", "-i", str(recording)]
    text.write_bytes(subprocess.run(printed, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S).stdout)
    harness("trace", "convert", str(recording), "-o", str(tmp_path / "tables"))

    def scores(path: Path) -> list[dict[str, Any]]:
        asked = ["evaluate", str(path), "-p", "markov", "-p", "slice_markov", "-p", "fifo", "--json"]
        found = json.loads(harness(*asked).stdout)["scores"]
        return [{part: one[part] for part in ("overall", "contested", "forced", "test_events")} for one in found]

    assert scores(recording) == scores(text) == scores(tmp_path / "tables")
