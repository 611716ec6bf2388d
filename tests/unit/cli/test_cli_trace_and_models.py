"""`harness trace`, `train`, `evaluate` and `predict` on a real recording, from the outside."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import waiting
from command_line import HARNESS, LIMIT_S, harness
from locations import DATA

from harness.store.lock import locked

RECORDING = DATA / "debian12_guest_nginx_ab.perf.data.xz"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "perf.data"
    path.write_bytes(lzma.decompress(RECORDING.read_bytes()))
    return path


@pytest.fixture(scope="module")
def tables(raw: Path) -> Path:
    harness("trace", "convert", raw, "-o", raw.parent / "tables")
    return raw.parent / "tables"


def test_convert_writes_every_table_and_says_where(raw: Path, tmp_path: Path) -> None:
    told = json.loads(harness("trace", "convert", raw, "-o", tmp_path / "t", "--json").stdout)
    assert {"switches", "wakeups", "slices", "runtimes"} <= set(told["paths"])
    assert all(Path(path).is_file() for path in told["paths"].values())
    assert told["quality"]["lost_events"] == 0


def test_a_truncated_recording_is_saved_as_far_as_it_goes_and_never_passes_for_whole(raw: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.data"
    short.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    ended = harness("trace", "convert", short, "-o", tmp_path / "t", code=1)
    assert "this recording is not whole: " in ended.stderr
    harness("trace", "convert", short, "-o", tmp_path / "strict", "--strict", code=1)
    assert not (tmp_path / "strict" / "slices.parquet").exists()


def test_what_is_no_recording_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    ended = harness("trace", "summary", tmp_path / "x", code=1)
    assert "error:" in ended.stderr


def test_summary_is_for_people_and_for_programs(raw: Path) -> None:
    assert "nginx" in harness("trace", "summary", raw).stdout
    told = json.loads(harness("trace", "summary", raw, "--json").stdout)
    assert told["quality"]["whole"] is True
    assert {"nginx", "ab"} <= {task["comm"] for task in told["tasks"]}


def test_the_text_of_perf_sched_map_goes_out_and_comes_back(raw: Path, tmp_path: Path) -> None:
    harness("trace", "export", raw, "--to", "perf-sched-map", "-o", tmp_path / "map.txt")
    assert "switches" in harness("trace", "import", tmp_path / "map.txt", "-o", tmp_path / "t").stdout
    assert (tmp_path / "t" / "switches.parquet").is_file()
    harness("trace", "export", raw, "--to", "perfeto", "-o", tmp_path / "x", code=2)


def test_a_model_is_trained_kept_scored_elsewhere_and_asked(tables: Path, tmp_path: Path) -> None:
    told = json.loads(harness("train", tables, "-p", "markov", "-o", tmp_path, "--json").stdout)
    assert 0 < told["contested"]["top1"] < 1
    scored = json.loads(harness("evaluate", tables, "--model", tmp_path / "markov_s0", "--json").stdout)
    assert scored["overall"]["top1"] > 0.5
    asked = harness("predict", tables, "--model", tmp_path / "markov_s0", "--events", "5")
    assert "contested" in asked.stdout or "forced" in asked.stdout


def test_a_training_that_was_killed_goes_on_in_the_same_folder(tables: Path, tmp_path: Path) -> None:
    def wanted(epochs: int, number: int) -> list[str | Path]:
        asked = ["-p", "markov", "-p", "gru", "--workers", "1", "--set", "gru.hidden=8"]
        return ["train", tables, *asked, "-o", tmp_path / str(number), "--set", f"gru.max_epochs={epochs}"]

    for number in range(20):  # until it was killed before its end, which on a busy machine it may reach unseen
        scores = tmp_path / str(number) / "gru_s0" / "scores.json"
        progress = scores.parent / "training" / "progress.json"
        with subprocess.Popen([*HARNESS, *map(str, wanted(12, number))], stdout=subprocess.DEVNULL) as first:
            waiting.until(lambda: progress.exists() or first.poll() is not None, limit_s=LIMIT_S)  # noqa: B023
            first.kill()  # its workers die with it
        if progress.exists() and not scores.exists():
            break
    again = harness(*wanted(12, number)).stdout
    assert "markov_s0 is trained already" in again
    assert "gru_s0 went on after epoch" in again
    third = json.loads(harness(*wanted(12, number), "--json").stdout)
    assert [one["predictor"] for one in third] == ["markov", "gru"]
    other = harness(*wanted(3, number)).stdout
    assert "gru_s0 is trained already" not in other


@pytest.fixture(scope="module")
def other(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second recording; that it says the same as the first does not matter here."""
    return Path(shutil.copytree(tables, tmp_path_factory.mktemp("other") / "tables2"))


def test_every_recording_is_tested_on_in_turn(tables: Path, other: Path) -> None:
    told = json.loads(harness("evaluate", tables, other, "-p", "markov", "--split", "recording", "--json").stdout)
    assert (told["split"], [one["fold"] for one in told["folds"]]) == ("recording", ["tables", "tables2"])
    assert told["contested"]["top1"] == pytest.approx(np.mean([one["contested"]["top1"] for one in told["folds"]]))
    assert told["folds"][0]["trials"] == ["tables2", "tables"]
    shown = harness("evaluate", tables, other, "-p", "markov", "--split", "run").stdout
    assert "mean of 2" in shown


def test_several_seeds_are_one_row_with_an_interval_over_seeds_and_the_bootstraps(tables: Path, tmp_path: Path) -> None:
    seeds = ["--seed", "0", "--seed", "1", "--set", "gru.hidden=8", "--set", "gru.max_epochs=2"]
    wanted = ["train", tables, "-p", "gru", "-p", "markov", *seeds, "-o", tmp_path]
    gru, markov = json.loads(harness(*wanted, "--json").stdout)
    assert (gru["seeds"], markov["seeds"]) == ([0, 1], [0])
    assert [one["seed"] for one in gru["by_seed"]] == [0, 1]
    each = [one["contested"]["top1"] for one in gru["by_seed"]]
    assert gru["contested"]["top1"] == pytest.approx(np.mean(each))
    for name in ("top1", "bits_per_switch", "time_crps_us", "joint_nats"):
        low, high = gru["contested"][f"{name}_seeds_ci"]
        assert low <= gru["contested"][name] <= high
        assert markov["contested"][f"{name}_seeds_ci"] is None
    for interval in ("top1_ci", "bits_ci", "time_crps_us_ci", "joint_nats_ci"):
        assert len(gru["contested"][interval]) == len(markov["contested"][interval]) == 2
    shown = harness(*wanted).stdout
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("gru ")]
    assert row[2] == "2"
    assert sum(cell.startswith("±") for cell in row) == 4
    assert "seeds ±: Student's over seeds" in shown
    stored = ["--model", tmp_path / "gru_s0", "--model", tmp_path / "gru_s1", "--model", tmp_path / "markov_s0"]
    again = json.loads(harness("evaluate", tables, *stored, "--json").stdout)
    assert [(one["predictor"], one["seeds"]) for one in again] == [("gru", [0, 1]), ("markov", [0])]
    assert again[0]["overall"]["top1_seeds_ci"] is not None


def test_what_is_named_twice_is_trained_and_scored_once(tables: Path, tmp_path: Path) -> None:
    twice = ["-p", "decision_tree", "-p", "decision_tree", "--seed", "3", "--seed", "3"]
    told = json.loads(harness("train", tables, *twice, "-o", tmp_path, "--json").stdout)
    assert (told["predictor"], told["seeds"]) == ("decision_tree", [3])
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["decision_tree_s3"]
    stored = ["--model", tmp_path / "decision_tree_s3", "--model", tmp_path / "." / "decision_tree_s3"]
    assert json.loads(harness("evaluate", tables, *stored, "--json").stdout)["seeds"] == [3]


def test_who_learns_on_has_a_row_and_scores_of_its_own(tables: Path, tmp_path: Path) -> None:
    assert "markov, online" in harness("train", tables, "-p", "markov", "-o", tmp_path).stdout
    for wanted in (["-p", "markov"], ["--model", tmp_path / "markov_s0"]):
        told = json.loads(harness("evaluate", tables, *wanted, "--json").stdout)
        assert told["online"]["contested"]["top1"] > 0
        assert told["online"]["test_events"] == told["test_events"]


def test_kernels_may_not_differ_between_what_is_learned_from_and_tested_on(other: Path, tmp_path: Path) -> None:
    for name, kernel in (("a", "5.10"), ("b", "6.1")):
        shutil.copytree(other, tmp_path / name)
        (tmp_path / name / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    ended = harness("evaluate", tmp_path / "a", "--test", tmp_path / "b", code=1)
    assert "recordings of several kernels (5.10 in a; 6.1 in b)" in " ".join(ended.stderr.split())


def test_another_recording_is_tested_on_whole(tables: Path, other: Path) -> None:
    told = json.loads(harness("evaluate", tables, "--test", other, "-p", "most_frequent", "--json").stdout)
    end = json.loads(harness("evaluate", tables, "-p", "most_frequent", "--json").stdout)
    assert told["test_events"] > 6 * end["test_events"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["evaluate", "nowhere"], 1, "nowhere"),
        (["evaluate", "{tables}", "-p", "markvo"], 1, "did you mean 'markov'"),
        (["evaluate", "{tables}", "--regime", "psychic"], 2, "marks, slices, runqueue"),
        (["predict", "{tables}", "--model", "nowhere"], 1, "nowhere"),
        (["evaluate", "{tables}", "-p", "markov", "--set", "markov.ordr=2"], 1, "it has order, max_order"),
        (["evaluate", "{tables}", "-p", "markov", "--set", "gru.hidden=2"], 2, "no such predictor among markov"),
        (["evaluate", "{tables}", "-p", "markov", "--set", "markov"], 2, "PREDICTOR.SETTING=VALUE"),
        (["evaluate", "{tables}", "--split", "week"], 2, "temporal, recording, run, load, host"),
        (["evaluate", "{tables}", "--split", "recording"], 1, "name recordings of at least two"),
        (["evaluate", "{tables}", "--split", "load"], 1, "its load is not known"),
        (["evaluate", "{tables}", "--test", "{tables}"], 1, "is both learned from and tested on"),
        (["evaluate", "{tables}", "--test", "{tables}", "--split", "run"], 2, "no --test beside a split"),
        (["evaluate", "{tables}", "-p", "markov", "--regime", "slices"], 2, "none of markov is of the regime slices"),
        (["evaluate", "{tables}", "--model", "nowhere", "-p", "markov"], 2, "no --predictor, --regime"),
        (["evaluate", "{tables}", "--model", "nowhere", "--test", "{tables}"], 2, "--test beside it"),
        (["evaluate", "{tables}", "--model", "nowhere", "--mark", "comm"], 2, "no --predictor, --regime, --mark"),
        (["evaluate", "{tables}", "--share", "0.5"], 2, "--share is of a stored model"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(arguments: list[str], code: int, words: str, tables: Path) -> None:
    assert words in harness(*[one.format(tables=tables) for one in arguments], code=code).stderr


def test_what_cannot_be_done_is_said_before_anything_is_begun(tables: Path, tmp_path: Path) -> None:
    for wrong in (["-p", "gru", "--set", "gru.steps=0"], ["-p", "markov", "--test", tables]):
        ended = harness("train", tables, *wrong, "-o", tmp_path / "models", code=1)
        assert ended.stdout == ""
        assert not (tmp_path / "models").exists()


def test_two_trainings_do_not_write_into_one_folder(tables: Path, tmp_path: Path) -> None:
    with locked(tmp_path):
        ended = harness("train", tables, "-p", "markov", "-o", tmp_path, code=1)
    assert f"process {os.getpid()} (since" in " ".join(ended.stderr.split())
    assert not (tmp_path / "markov_s0").exists()


def test_no_table_is_printed_where_every_model_failed(tables: Path, tmp_path: Path) -> None:
    ended = harness("train", tables, "--mark", "nonsense", "-o", tmp_path, code=1)
    assert "top-1" not in ended.stdout
    assert "predictor" not in ended.stdout


def test_with_json_a_failure_is_one_document_too(tables: Path) -> None:
    both = ["-p", "markov", "-p", "cfs_replay", "--mark", "nonsense"]
    told = json.loads(harness("evaluate", tables, *both, "--json", code=1).stdout)
    assert (told["event"], told["type"]) == ("error", "ModelError")
