"""`harness.open_run`, on the run folder that a real campaign of version 0.1.0 left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from command_line import harness as command
from written_before import RUN, unpack

import harness
from harness.errors import StoreError, UsageError


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = unpack(tmp_path_factory.mktemp("unpacked"))
    (folder / "runs").mkdir()
    (folder / RUN).rename(folder / "runs" / RUN)
    return folder / "runs"


@pytest.fixture
def runs(kept: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(kept, tmp_path / "runs"))


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_run_is_found_by_path_by_the_beginning_of_its_name_and_as_the_latest(kept: Path) -> None:
    found = [harness.open_run(kept / RUN), harness.open_run(RUN[:12], kept), harness.open_run(runs_dir=kept)]
    assert {run.path for run in found} == {(kept / RUN).resolve()}
    assert repr(found[0]) == f"Run('{RUN}': done, 1 trial, 3 models)"
    assert (found[0].name, found[0].state, found[0].problems) == (RUN, "done", ())
    assert found[0].experiment.name == found[0].manifest["spec"]["name"] == "smoke"


def test_a_run_that_is_not_there_is_a_wrong_argument(kept: Path, tmp_path: Path) -> None:
    for name, folder in (("nginx", kept), (None, tmp_path / "none"), (str(kept), kept)):
        with pytest.raises(UsageError):
            harness.open_run(name, folder)


def test_its_trials_are_recordings_with_a_verdict(kept: Path) -> None:
    (trial,) = harness.open_run(kept / RUN).trials
    assert repr(trial) == (
        "Trial('trials/000_nginx_ab': 6,522 switches in 4.190 s, Linux 6.1.0-56-cloud-amd64, usable)"
    )
    assert (trial.name, trial.arm, trial.usable, trial.failed_checks) == ("000_nginx_ab", "nginx_ab", True, ())
    assert trial.metrics["requests_failed"] == 0
    assert trial.guest["facts"]["kernel"] == trial.kernel
    assert trial.tables == ("switches", "wakeups", "runtimes", "slices")
    assert repr(harness.open_recording(trial)) == repr(trial)


def test_its_scores_are_those_that_the_command_prints(kept: Path) -> None:
    scores = harness.open_run(kept / RUN).scores()
    printed = command("show", kept / RUN).stdout
    for _, row in scores.iterrows():
        assert f"{row.predictor}" in printed
        assert f"{row.contested_top1:.1%}" in printed
        assert row.contested_top1_low < row.contested_top1 < row.contested_top1_high


def test_a_changed_model_is_named_and_has_no_scores(runs: Path) -> None:
    change(runs / RUN / "models" / "lstm_s0" / "scores.json")
    run = harness.open_run(runs / RUN)
    assert "lstm" not in {*run.scores().predictor}
    assert len(run.problems) == 1
    assert "lstm_s0/scores.json" in run.problems[0]


@pytest.mark.parametrize("name", ["slices.parquet", "trial.json"])
def test_a_changed_file_of_a_trial_is_refused_wherever_the_trial_goes(runs: Path, name: str) -> None:
    change(runs / RUN / "trials" / "000_nginx_ab" / name)
    run = harness.open_run(runs / RUN)
    for use in (lambda: run.trials[0].table("slices"), lambda: os.fspath(run), lambda: os.fspath(run.trials[0])):
        with pytest.raises(StoreError, match=name):
            use()
    assert repr(run.trials[0])


def test_a_run_without_trials_has_empty_frames_with_their_columns(runs: Path, kept: Path) -> None:
    for name in ("trials", "models"):
        shutil.rmtree(runs / RUN / name)
    run = harness.open_run(runs / RUN)
    assert (run.trials, len(run.verdicts()), len(run.scores())) == ((), 0, 0)
    whole = harness.open_run(kept / RUN)
    assert [*run.scores()] == [*whole.scores()]
    columns = [*run.verdicts()]
    assert columns == [*whole.verdicts()][: len(columns)]  # the metrics of its load follow
    assert run.scores()[run.scores().best].empty
