"""`harness train`, `evaluate` and `predict` on a real recording."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import waiting
from command_line import HARNESS, LIMIT_S, harness

from harness.store.lock import locked

pytestmark = pytest.mark.slow


def test_a_model_is_trained_stored_scored_and_predicts(tables: Path, tmp_path: Path) -> None:
    (scores,) = json.loads(harness("train", tables, "-p", "markov", "-o", tmp_path, "--json").stdout)["scores"]
    assert 0 < scores["contested"]["top1"] < 1
    (scored,) = json.loads(harness("evaluate", tables, "--model", tmp_path / "markov_s0", "--json").stdout)["scores"]
    assert scored["overall"]["top1"] > 0.5
    asked = harness("predict", tables, "--model", tmp_path / "markov_s0", "--events", "5")
    assert "contested" in asked.stdout or "forced" in asked.stdout


def test_a_killed_training_continues_in_the_same_folder(tables: Path, tmp_path: Path) -> None:
    def arguments(epochs: int, number: int) -> list[str | Path]:
        asked = ["-p", "markov", "-p", "gru", "--workers", "1", "--set", "gru.hidden=8"]
        return ["train", tables, *asked, "-o", tmp_path / str(number), "--set", f"gru.max_epochs={epochs}"]

    for number in range(20):  # again where it ended before it was killed, as may happen on a busy machine
        scores = tmp_path / str(number) / "gru_s0" / "scores.json"
        progress = scores.parent / "training" / "progress.json"
        with subprocess.Popen([*HARNESS, *map(str, arguments(12, number))], stdout=subprocess.DEVNULL) as first:
            waiting.until(lambda: progress.exists() or first.poll() is not None, limit_s=LIMIT_S)  # noqa: B023
            first.kill()  # its workers die with it
        if progress.exists() and not scores.exists():
            break
    again = harness(*arguments(12, number)).stderr
    assert "markov_s0 is trained already" in again
    assert "gru_s0 went on after epoch" in again
    third = json.loads(harness(*arguments(12, number), "--json").stdout)
    assert [one["predictor"] for one in third["scores"]] == ["markov", "gru"]
    other = harness(*arguments(3, number)).stderr
    assert "gru_s0 is trained already" not in other


@pytest.fixture(scope="module")
def other(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second recording, with the same contents as the first."""
    return Path(shutil.copytree(tables, tmp_path_factory.mktemp("other") / "tables2"))


def test_every_recording_is_the_test_set_in_turn(tables: Path, other: Path) -> None:
    folds = ["-p", "markov", "--split", "recording", "--json"]
    (scores,) = json.loads(harness("evaluate", tables, other, *folds).stdout)["scores"]
    assert (scores["split"], [one["fold"] for one in scores["folds"]]) == ("recording", ["tables", "tables2"])
    assert scores["contested"]["top1"] == pytest.approx(np.mean([one["contested"]["top1"] for one in scores["folds"]]))
    assert scores["folds"][0]["trials"] == ["tables2", "tables"]
    shown = harness("evaluate", tables, other, "-p", "markov", "--split", "run").stdout
    assert "mean of 2" in shown


def test_several_seeds_are_one_row_with_an_interval_over_seeds_and_the_bootstraps(tables: Path, tmp_path: Path) -> None:
    seeds = ["--seed", "0", "--seed", "1", "--set", "gru.hidden=8", "--set", "gru.max_epochs=2"]
    wanted = ["train", tables, "-p", "gru", "-p", "markov", *seeds, "-o", tmp_path]
    gru, markov = json.loads(harness(*wanted, "--json").stdout)["scores"]
    assert (gru["seeds"], markov["seeds"]) == ([0, 1], [0])
    assert [one["seed"] for one in gru["by_seed"]] == [0, 1]
    each = [one["contested"]["top1"] for one in gru["by_seed"]]
    assert gru["contested"]["top1"] == pytest.approx(np.mean(each))
    for name in ("top1", "bits_per_switch", "time_crps_us", "joint_bits"):
        low, high = gru["contested"][f"{name}_seeds_ci"]
        assert low <= gru["contested"][name] <= high
        assert markov["contested"][f"{name}_seeds_ci"] is None
    for interval in ("top1_ci", "bits_ci", "time_crps_us_ci", "joint_bits_ci"):
        assert len(gru["contested"][interval]) == len(markov["contested"][interval]) == 2
    shown = harness(*wanted).stdout
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("gru ")]
    assert row[2] == "2"
    assert sum(cell.startswith("±") for cell in row) == 4
    assert "seeds ±: the same for training with other seeds" in shown
    stored = ["--model", tmp_path / "gru_s0", "--model", tmp_path / "gru_s1", "--model", tmp_path / "markov_s0"]
    again = json.loads(harness("evaluate", tables, *stored, "--json").stdout)["scores"]
    assert [(one["predictor"], one["seeds"]) for one in again] == [("gru", [0, 1]), ("markov", [0])]
    assert again[0]["overall"]["top1_seeds_ci"] is not None


def test_a_predictor_or_seed_named_twice_is_trained_and_scored_once(tables: Path, tmp_path: Path) -> None:
    twice = ["-p", "decision_tree", "-p", "decision_tree", "--seed", "3", "--seed", "3"]
    (scores,) = json.loads(harness("train", tables, *twice, "-o", tmp_path, "--json").stdout)["scores"]
    assert (scores["predictor"], scores["seeds"]) == ("decision_tree", [3])
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["decision_tree_s3"]
    stored = ["--model", tmp_path / "decision_tree_s3", "--model", tmp_path / "." / "decision_tree_s3"]
    (scores,) = json.loads(harness("evaluate", tables, *stored, "--json").stdout)["scores"]
    assert scores["seeds"] == [3]


def test_a_predictor_that_learns_online_has_a_row_and_scores_of_its_own(tables: Path, tmp_path: Path) -> None:
    assert "markov, online" in harness("train", tables, "-p", "markov", "-o", tmp_path).stdout
    for wanted in (["-p", "markov"], ["--model", tmp_path / "markov_s0"]):
        (scores,) = json.loads(harness("evaluate", tables, *wanted, "--json").stdout)["scores"]
        assert scores["online"]["contested"]["top1"] > 0
        assert scores["online"]["test_events"] == scores["test_events"]


def test_training_and_test_recordings_of_different_kernels_are_refused(other: Path, tmp_path: Path) -> None:
    for name, kernel in (("a", "5.10"), ("b", "6.1")):
        shutil.copytree(other, tmp_path / name)
        (tmp_path / name / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    ended = harness("evaluate", tmp_path / "a", "--test", tmp_path / "b", code=1)
    wanted = f"{tmp_path / 'a'} is of Linux 5.10, {tmp_path / 'b'} of Linux 6.1: they may schedule differently"
    assert wanted in " ".join(ended.stderr.split())


@pytest.fixture(scope="module")
def counted(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recording, as if its guest had counted instructions."""
    folder = Path(shutil.copytree(tables, tmp_path_factory.mktemp("counted") / "000_nginx_ab"))
    (folder / "trial.json").write_text(json.dumps({"machine": {"clock": "counted", "cpu_speed": 125}}))
    return folder


def test_recordings_of_different_clocks_are_never_pooled(tables: Path, counted: Path, tmp_path: Path) -> None:
    refused = harness("train", tables, counted, "-p", "markov", "-o", tmp_path / "models", code=1)
    words = " ".join(refused.stderr.split())
    counted_clock = "a counted clock of 125 instructions per microsecond"
    assert f"recordings of several clocks (the host's clock in {tables}; {counted_clock} in {counted})" in words
    assert "never pooled; name those of one clock" in words
    assert not (tmp_path / "models").exists()


def test_another_clock_is_tested_on_only_with_a_flag_and_the_scores_say_so(
    tables: Path, counted: Path, tmp_path: Path
) -> None:
    wanted = ["train", tables, "--test", counted, "-p", "markov", "-o", tmp_path / "models"]
    refused = " ".join(harness(*wanted, code=1).stderr.split())
    assert f"{tables} is of the host's clock, {counted} of a counted clock" in refused
    assert "give --across-clocks to go on nevertheless" in refused
    assert not (tmp_path / "models").exists()
    shown = harness(*wanted, "--across-clocks")
    assert "Across clocks: trained with the host's clock" in " ".join(shown.stdout.split())
    stored = json.loads((tmp_path / "models" / "markov_s0" / "scores.json").read_text())
    assert stored["tested_clock"] == {"clock": "counted", "cpu_speed": 125}


def test_a_stored_model_is_applied_to_another_clock_only_with_a_flag(
    tables: Path, counted: Path, tmp_path: Path
) -> None:
    harness("train", tables, "-p", "markov", "-o", tmp_path)
    for command in ("evaluate", "predict"):
        wanted = [command, counted, "--model", tmp_path / "markov_s0"]
        assert "give --across-clocks" in " ".join(harness(*wanted, code=1).stderr.split())
        allowed = harness(*wanted, "--across-clocks")
        assert "Across clocks: trained with the host's clock" in " ".join(allowed.output.split())
        document = json.loads(harness(*wanted, "--across-clocks", "--json").stdout)
        (one,) = document["scores"] if command == "evaluate" else [document]
        assert one["caveat"].startswith("Across clocks")
    document = json.loads(harness("predict", tables, "--model", tmp_path / "markov_s0", "--json").stdout)
    assert document["caveat"] is None


def test_the_scores_of_a_counted_clock_say_so(counted: Path) -> None:
    shown = " ".join(harness("evaluate", counted, "-p", "most_frequent").stdout.split())
    assert "clock: counted: 125 instructions per microsecond (8 ns each)." in shown


def test_another_recording_is_tested_on_as_a_whole(tables: Path, other: Path) -> None:
    wanted = ["-p", "most_frequent", "--json"]
    (scores,) = json.loads(harness("evaluate", tables, "--test", other, *wanted).stdout)["scores"]
    (end,) = json.loads(harness("evaluate", tables, *wanted).stdout)["scores"]
    assert scores["test_events"] > 6 * end["test_events"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["evaluate", "nowhere"], 2, "nowhere"),
        (["evaluate", "{tables}", "-p", "markvo"], 2, "did you mean 'markov'"),
        (["evaluate", "{tables}", "--inputs", "psychic"], 2, "marks, slices, runqueue"),
        (["predict", "{tables}", "--model", "nowhere"], 2, "nowhere"),
        (["evaluate", "{tables}", "-p", "markov", "--set", "markov.ordr=2"], 2, "expected: order, max_order"),
        (
            ["evaluate", "{tables}", "-p", "markov", "--set", "markov.order=true"],
            2,
            "a whole number from 0 to 8, or null",
        ),
        (["evaluate", "{tables}", "-p", "gru", "--set", "gru.learning_rate=NaN"], 2, "a number above 0 to 1"),
        (["evaluate", "{tables}", "-p", "gru", "--set", "gru.seed=1"], 2, "--seed, which all predictors share"),
        (["evaluate", "{tables}", "-p", "gru", "--seed", "-1"], 2, "greater than or equal to 0"),
        (["evaluate", "{tables}", "-p", "markov", "--mark", "nonsense"], 2, "comm or task"),
        (["evaluate", "{tables}", "-p", "markov", "--set", "gru.hidden=2"], 2, "no such predictor among markov"),
        (["evaluate", "{tables}", "-p", "markov", "--set", "markov"], 2, "PREDICTOR.SETTING=VALUE"),
        (["evaluate", "{tables}", "--split", "week"], 2, "temporal, recording, run, load, host"),
        (["evaluate", "{tables}", "--split", "recording"], 1, "name recordings of at least two"),
        (["evaluate", "{tables}", "--split", "load"], 1, "its load is not known"),
        (["evaluate", "{tables}", "--test", "{tables}"], 1, "is both learned from and tested on"),
        (["evaluate", "{tables}", "--test", "{tables}", "--split", "run"], 2, "no --test with a split"),
        (["evaluate", "{tables}", "-p", "markov", "--regime", "slices"], 2, "none of markov has the inputs slices"),
        (["evaluate", "{tables}", "--model", "{tables}", "-p", "markov"], 2, "no --predictor, --inputs"),
        (["evaluate", "{tables}", "--model", "{tables}", "--test", "{tables}"], 2, "or --test with it"),
        (["evaluate", "{tables}", "--model", "{tables}", "--mark", "comm"], 2, "no --predictor, --inputs, --mark"),
        (["evaluate", "{tables}", "--share", "0.5"], 2, "--share applies to a stored model"),
        (["evaluate", "{tables}", "--across-clocks"], 2, "--test or --model with it"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(arguments: list[str], code: int, words: str, tables: Path) -> None:
    assert words in harness(*[one.format(tables=tables) for one in arguments], code=code).stderr


def test_a_request_that_is_impossible_is_refused_before_anything_is_written(tables: Path, tmp_path: Path) -> None:
    for wrong, code in ((["-p", "gru", "--set", "gru.steps=0"], 2), (["-p", "markov", "--test", tables], 1)):
        ended = harness("train", tables, *wrong, "-o", tmp_path / "models", code=code)
        assert ended.stdout == ""
        assert not (tmp_path / "models").exists()


def test_two_trainings_do_not_write_into_one_folder(tables: Path, tmp_path: Path) -> None:
    with locked(tmp_path):
        ended = harness("train", tables, "-p", "markov", "-o", tmp_path, code=1)
    assert f"process {os.getpid()} (since" in " ".join(ended.stderr.split())
    assert not (tmp_path / "markov_s0").exists()


TOO_MANY_SEQUENCES = ["-p", "paper_corrected", "--set", "paper_corrected.sequences=100000"]


def test_no_table_is_printed_where_every_model_failed(tables: Path, tmp_path: Path) -> None:
    ended = harness("train", tables, *TOO_MANY_SEQUENCES, "-o", tmp_path, code=1)
    assert "top-1" not in ended.stdout
    assert "predictor" not in ended.stdout


def test_with_json_a_failure_is_one_document(tables: Path) -> None:
    document = json.loads(harness("evaluate", tables, "-p", "markov", *TOO_MANY_SEQUENCES, "--json", code=1).stdout)
    assert (list(document), document["error"]["type"]) == (["error"], "ModelError")
