"""Commands find the recording that a path names, and make its tables where they need tables."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
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


def run_with(folder: Path, *kept: str) -> Path:
    """A run whose trials have these recordings."""
    for number, name in enumerate(kept):
        recording = unpacked_into(trial(folder / "trials" / f"{number:03}_x", "log"), name)
        recording.rename(recording.parent / "perf.data")
    return folder


def test_the_summary_of_a_run_is_that_of_its_recording(tmp_path: Path) -> None:
    of_run = json.loads(harness("trace", "summary", run_with(tmp_path / "run", NAME), "--json").stdout)
    assert [one["quality"]["samples"] for one in of_run["recordings"]] == [32_774]


def test_a_run_is_named_by_the_beginning_of_its_name_wherever_its_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run_with(tmp_path / "runs" / name, NAME) for name in ("2026-01-01_a", "2026-01-02_b")]
    for run in runs:
        (run / "manifest.json").touch()
    monkeypatch.chdir(tmp_path)
    harness("trace", "convert", "2026-01-01/000_x", "-o", "tables")
    shown = harness("trace", "summary", "2026-01-02", "--limit", "1").stdout
    monkeypatch.setenv("HARNESS_RUNS", str(runs[0].parent))
    monkeypatch.chdir("/")
    assert harness("trace", "summary", "2026-01-02_b/trials/000_x", "--limit", "1").stdout == shown
    assert "2026-01: 2 runs begin so: 2026-01-01_a" in harness("trace", "summary", "2026-01", code=2).stderr
    nothing = ("there is no such file, folder or run", "2027")
    for command in (["predict", "2027", "--model", tmp_path], ["evaluate", "2027"], ["model", "compare", "2027"]):
        ended = harness(*command, code=2).stderr
        assert all(words in ended for words in nothing)


def test_the_summary_of_a_run_with_several_trials_has_a_line_of_each_in_one_shape(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", NAME, "switches_only", "lost_events")
    ended = harness("trace", "summary", run, code=1)
    shown = [line.split() for line in ended.stdout.splitlines()]
    assert shown[1] == ["000_x", "10.257", "18", "11,813", "0.0", "3,859", "9,668", "7", "0.93", "287.86", "yes"]
    assert [one[0] for one in shown[1:4]] == ["000_x", "001_x", "002_x"]
    assert [one[-5:] for one in shown[2:4]] == [["-"] * 4 + ["yes"], ["772", "29", "1.41", "70.00", "no"]]
    assert f"{run}/trials/002_x/perf.data: it is not whole: 18,129 events lost" in ended.stderr
    assert "of 3 recordings, 1 not whole" in ended.stderr
    several = json.loads(harness("trace", "summary", run, "--json", code=1).stdout)["recordings"]
    assert [one["path"] for one in several] == [f"{run}/trials/00{number}_x/perf.data" for number in range(3)]
    (single,) = json.loads(harness("trace", "summary", run / "trials" / "000_x", "--json").stdout)["recordings"]
    assert single == several[0]


@pytest.mark.parametrize("command", ["convert", "export --to csv"])
def test_what_takes_one_recording_names_the_trials_of_a_run_to_choose_from(command: str, tmp_path: Path) -> None:
    run, out = run_with(tmp_path / "run", "lost_events", "switches_only"), tmp_path / "out"
    refused = harness("trace", *command.split(), run, "-o", out, code=2)
    assert f"{run}: there are 2 recordings in it" in refused.stderr
    assert f"expected: one of {run}/trials/000_x, {run}/trials/001_x" in refused.stderr
    assert not out.exists()


def made(paths: Sequence[Path], output: Output) -> list[Path]:
    with tables_of(paths, output) as (tables, _):
        return tables


def test_tables_are_made_once_and_again_when_the_recording_changes(tmp_path: Path) -> None:
    recording, output = unpacked_into(tmp_path, NAME), Output(quiet=True)
    (folder,) = made([recording], output)
    assert folder.name == recording.name
    written = (folder / "slices.parquet").stat().st_mtime_ns
    assert made([recording, folder], output) == [folder, folder]
    assert (folder / "slices.parquet").stat().st_mtime_ns == written
    os.utime(recording, ns=(1, 1))
    assert made([recording], output) != [folder]


def test_the_recording_of_a_trial_has_the_tables_of_the_trial(tmp_path: Path) -> None:
    folder = trial(tmp_path / "000_x")
    (folder / "slices.parquet").touch()
    (folder / "trial.json").touch()
    assert made([folder / "perf.data.zst"], Output(quiet=True)) == [folder]


def test_the_text_of_perf_sched_map_says_that_it_tells_no_slices(tmp_path: Path) -> None:
    text = tmp_path / "map.txt"
    text.write_text("  *A0   0.000012 secs A0 => x:1\n  *.    0.000013 secs \n")
    with pytest.raises(TraceError, match="no slices to predict from") as caught:
        made([text], Output(quiet=True))
    assert "perf script --ns" in str(caught.value.hint)


def test_damaged_tables_in_the_cache_are_made_again(tmp_path: Path) -> None:
    recording, output = unpacked_into(tmp_path, NAME), Output(quiet=True)
    (folder,) = made([recording], output)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for damage in (
        lambda: (folder / "slices.parquet").write_bytes(b"PAR1"),
        lambda: (folder / "forks.parquet").unlink(),
        lambda: (folder / "recording.json").write_text("{"),
    ):
        damage()
        assert made([recording], output) == [folder]
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


EVALUATE: dict[str, tuple[str, int]] = {  # words of evaluate: what is said of lost.data, and the exit code
    "lost.data": ("warning: lost.data: it is not whole: 18,129 events lost", 1),
    "lost.data --strict": ("error: lost.data: it is not whole: 18,129 events lost", 1),
    "lost.data lost.data": ("lost.data is named twice", 1),
    "lost.data --test lost.data": ("lost.data is both learned from and tested on", 1),
    "lost.data --json": ('"recording": "lost.data"', 1),
    "lost.data --json --model models/markov_s0": ('"recording": "lost.data"', 1),
    "switches.data": ("markov", 0),
    "switches.data -p fifo": ("fifo_s0: switches.data: its recording does not tell who could run", 1),
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two recordings that something is to be said of."""
    folder = tmp_path_factory.mktemp("named")
    for kept, name in (("lost_events", "lost.data"), ("switches_only", "switches.data")):
        unpacked_into(folder, kept).rename(folder / name)
    return folder


@pytest.mark.slow
def test_all_that_is_said_of_a_recording_names_what_was_given_and_never_the_cache(
    named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(named)
    trained = harness("train", "lost.data", "-p", "markov", "-o", "models", code=1)
    predicted = harness("predict", "lost.data", "--model", "models/markov_s0", "--json", code=1)
    assert [one["recording"] for one in json.loads(predicted.stdout)["recordings"]] == ["lost.data"]
    ended = [trained, predicted]
    for words, (said, code) in EVALUATE.items():
        predictor = [] if "-p" in words or "--model" in words else ["-p", "markov"]
        ended.append(harness("evaluate", *words.split(), *predictor, code=code))
        assert said in ended[-1].stdout + ended[-1].stderr
    for one in ended:
        assert os.environ["HARNESS_CACHE"] not in one.stdout + one.stderr
    stored = [path.read_text("utf-8", "replace") for path in named.glob("models/*/*.json")]
    assert stored
    assert not [text for text in stored if os.environ["HARNESS_CACHE"] in text]


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
