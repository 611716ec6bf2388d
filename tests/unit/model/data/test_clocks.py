"""Recordings of different clocks are never pooled; a model scores another clock only where that is asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from model import checkpoint, jobs, predict
from model.data import clocks, find_recordings, streams
from model.data.clocks import Clock
from model.errors import StreamError
from model.files import unsealed
from model.jobs import Job

SPLIT = (0.7, 0.15, 0.15)
COUNTED = {"clock": "counted", "cpu_speed": 125}
IN_WORDS = "a counted clock of 125 instructions per microsecond"


def copy(recording: Path, to: Path, machine: Mapping[str, Any] | None) -> Path:
    """A copy of a recording, as a trial of a machine with these facts, or of no trial."""
    shutil.copytree(recording, to)
    if machine is not None:
        (to / "trial.json").write_text(json.dumps({"machine": machine}))
    return to


@pytest.fixture
def both(short_recording: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A recording of the host's clock, and one of a counted clock."""
    return copy(short_recording, tmp_path / "000_a", {}), copy(short_recording, tmp_path / "001_b", COUNTED)


@pytest.mark.parametrize(
    ("facts", "clock"),
    [
        ({}, Clock()),
        ({"accelerator": "tcg", "kernel": "6.1"}, Clock()),
        ({"clock": "host", "cpu_speed": None}, Clock()),
        ({"clock": "counted", "cpu_speed": 250}, Clock("counted", 250)),
        ({"clock": "counted", "cpu_speed": "500"}, Clock("counted", 500)),
        ({"clock": "counted"}, Clock("counted", 125)),
        ({"clock": "counted", "cpu_speed": "fast"}, Clock("counted", 125)),
    ],
)
def test_a_machine_that_names_no_clock_has_the_hosts(facts: dict[str, Any], clock: Clock) -> None:
    assert Clock.of(facts) == clock
    assert Clock.of(clock.facts()) == clock


def test_tables_without_a_trial_name_their_clock_themselves(short_recording: Path, tmp_path: Path) -> None:
    folder = copy(short_recording, tmp_path / "alone", None)
    assert clocks.of_recording(folder) == Clock()
    table = pq.read_table(folder / "slices.parquet")
    about = {**(table.schema.metadata or {}), "clock": "counted", "cpu_speed": "250"}
    pq.write_table(table.replace_schema_metadata(about), folder / "slices.parquet")
    assert clocks.of_recording(folder) == Clock("counted", 250)


def test_recordings_of_two_clocks_are_not_pooled_and_both_are_named(both: tuple[Path, Path], tmp_path: Path) -> None:
    wanted = f"several clocks (the host's clock in {both[0]}; {IN_WORDS} in {both[1]}): time passes differently"
    for pool in (find_recordings.recordings, streams.load, clocks.one_clock):
        with pytest.raises(StreamError) as refused:
            pool(both)
        assert wanted in str(refused.value)
    with pytest.raises(StreamError, match="several clocks"):
        jobs.run(Job(both, "markov", 0, "task", SPLIT, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_counted_cpus_of_different_speed_are_different_clocks(both: tuple[Path, Path], tmp_path: Path) -> None:
    faster = copy(both[1], tmp_path / "002_c", {"clock": "counted", "cpu_speed": 500})
    with pytest.raises(StreamError, match=r"of 125 instructions per microsecond in .*001_b; .* of 500 .* in .*002_c"):
        clocks.one_clock([both[1], faster])


def test_an_error_counts_the_recordings_of_each_clock(both: tuple[Path, Path], tmp_path: Path) -> None:
    more = [copy(both[0], tmp_path / name, {}) for name in ("002_c", "003_d")]
    with pytest.raises(StreamError, match=r"host's clock in .*000_a and 2 others; "):
        clocks.one_clock([*both, *more])


def test_a_model_keeps_the_clock_it_was_trained_with(both: tuple[Path, Path], tmp_path: Path) -> None:
    scores = jobs.run(Job((both[1],), "markov", 0, "task", SPLIT, tmp_path / "out"))
    assert {name: scores[name] for name in COUNTED} == COUNTED
    assert (scores["tested_clock"], scores["caveat"]) == (None, None)
    about = json.loads((tmp_path / "out" / checkpoint.CONFIG).read_text())["about"]
    assert Clock.of(about) == Clock.of(COUNTED)


def test_a_model_is_not_applied_to_another_clock_unless_that_is_asked_for(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    model = tmp_path / "out"
    jobs.run(Job((both[0],), "markov", 0, "task", SPLIT, model))
    forget_clock(model)
    assert predict.scores(model, [both[0]])["tested_clock"] is None
    for apply in (predict.scores, lambda model, folders: predict.forecast(model, folders[0], 5)):
        with pytest.raises(StreamError) as refused:
            apply(model, [both[1]])
        assert f"{model} is of the host's clock, {both[1]} of {IN_WORDS}: " in str(refused.value)
        assert "give --across-clocks" in str(refused.value)
    scores = predict.scores(model, [both[1]], across_clocks=True)
    assert (scores["clock"], scores["tested_clock"]) == ("host", COUNTED)
    assert scores["caveat"].startswith(f"Across clocks: trained with the host's clock, scored with {IN_WORDS}")
    assert len(predict.forecast(model, both[1], 5, across_clocks=True)) == 5
    assert predict.caveat(model, [both[1]]) == scores["caveat"]
    assert "clocks" not in str(predict.caveat(model, [both[0]]))


def forget_clock(model: Path) -> None:
    """Make a model one of 0.2.0, which stored no clock."""
    config = json.loads((model / checkpoint.CONFIG).read_text())
    for name in COUNTED:
        del config["about"][name]
    (model / checkpoint.CONFIG).write_text(json.dumps(unsealed(config)))


def test_training_and_test_recordings_may_differ_in_their_clock_only_where_that_is_asked_for(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    def job(across: bool) -> Job:
        return Job(
            (both[0],), "markov", 0, "task", SPLIT, tmp_path / "out", test_tables=(both[1],), across_clocks=across
        )

    with pytest.raises(StreamError, match=r"000_a is of the host's clock, .*001_b of a counted clock"):
        jobs.run(job(False))
    scores = jobs.run(job(True))
    assert (scores["clock"], scores["tested_clock"]) == ("host", COUNTED)
    assert "Across clocks" in json.loads((tmp_path / "out" / "scores.json").read_text())["caveat"]


def test_scores_of_0_2_0_count_as_those_of_the_hosts_clock(short_recording: Path, tmp_path: Path) -> None:
    wanted = Job((short_recording,), "markov", 0, "task", SPLIT, tmp_path / "out")
    jobs.run(wanted)
    path = tmp_path / "out" / "scores.json"
    old = json.loads(path.read_text())
    for name in ("clock", "cpu_speed", "tested_clock"):
        del old[name]
    path.write_text(json.dumps(unsealed(old)))
    stored = jobs.stored(wanted)
    assert stored
    assert (stored["clock"], stored["cpu_speed"], stored["tested_clock"]) == ("host", None, None)


def test_allowing_another_clock_makes_no_other_job(short_recording: Path, tmp_path: Path) -> None:
    plain = Job((short_recording,), "markov", 0, "task", SPLIT, tmp_path)
    assert plain.digest() == Job((short_recording,), "markov", 0, "task", SPLIT, tmp_path, across_clocks=True).digest()
