"""A training that was killed resumes after its last complete epoch, with the same result as without the kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from command_line import LIMIT_S

from model import jobs
from model.data import synthetic
from model.jobs import Job
from model.nn.training_state import StateFolder, TrainingState

pytestmark = pytest.mark.slow

SPLIT = (0.7, 0.15, 0.15)
PARAMS = {"hidden": 8, "max_epochs": 9, "patience": 1, "learning_rate": 0.15}  # the rate is cut on the way
WORKER = """
import os, signal, sys
from pathlib import Path
from model import jobs
from model.jobs import Job

def die(note, done, total):
    if note.startswith("epoch {epochs}:"):  # reported after that epoch is stored
        os.kill(os.getpid(), signal.SIGKILL)

jobs.run(Job((Path(sys.argv[1]),), sys.argv[2], 3, "task", (0.7, 0.15, 0.15), Path(sys.argv[3]), {params}), die)
"""


@pytest.fixture(scope="module")
def recording(source: synthetic.Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small, so that an epoch is short."""
    folder = tmp_path_factory.mktemp("small") / "000_known"
    synthetic.write(folder, source, events=8_000)
    return folder


def job(recording: Path, out: Path, predictor: str = "lstm", **changes: object) -> Job:
    return Job((recording,), predictor, 3, "task", SPLIT, out, {**PARAMS, **changes})


def kill_after(epochs: int, unfinished: Job) -> None:
    """Train in a separate process, which is killed once this number of epochs is stored."""
    command = [sys.executable, "-c", WORKER.format(epochs=epochs, params=dict(unfinished.params))]
    arguments = [str(unfinished.tables[0]), unfinished.predictor, str(unfinished.out_dir)]
    assert subprocess.run([*command, *arguments], timeout=LIMIT_S).returncode == -signal.SIGKILL
    progress = unfinished.out_dir / "training" / "progress.json"
    assert json.loads(progress.read_text())["epoch"] == epochs
    assert not (unfinished.out_dir / "scores.json").exists()


@pytest.mark.parametrize("predictor", ["lstm", "transformer"])
def test_a_killed_training_resumes_and_ends_with_the_same_bits(predictor: str, recording: Path, tmp_path: Path) -> None:
    whole, broken = job(recording, tmp_path / "whole", predictor), job(recording, tmp_path / "broken", predictor)
    jobs.run(whole)
    for epochs in (2, 4):  # killed twice: the state that a resumed training stores must be as good
        kill_after(epochs, broken)
    result = jobs.run(broken)
    assert result["went_on_after_epoch"] == 4
    for name in ("weights.safetensors", "outcomes.parquet"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    histories = [pq.read_table(tmp_path / name / "history.parquet").drop(["seconds"]) for name in ("whole", "broken")]
    assert histories[0].equals(histories[1])
    assert len(set(histories[0]["learning_rate"].to_pylist())) > 1
    assert not (tmp_path / "broken" / "training").exists()


@pytest.fixture
def begun(recording: Path, tmp_path: Path) -> Job:
    """A job whose training was interrupted after three epochs."""

    class Interrupted(Exception):
        pass

    def interrupt(note: str, done: float, total: float | None) -> None:
        if note.startswith("epoch 3"):
            raise Interrupted

    unfinished = job(recording, tmp_path / "model", max_epochs=4)
    with pytest.raises(Interrupted):
        jobs.run(unfinished, interrupt)
    return unfinished


def test_a_training_with_other_settings_is_set_aside_and_reported(begun: Job, recording: Path) -> None:
    notes: list[str] = []
    result = jobs.run(job(recording, begun.out_dir, max_epochs=2), lambda note, *_: notes.append(note))
    assert result["went_on_after_epoch"] is None
    assert "belongs to another job: different settings" in result["training_set_aside"]
    assert str(begun.out_dir / "training") in result["training_set_aside"]
    assert any("epoch 1:" in note for note in notes)


def test_a_training_that_was_set_aside_stays_until_the_scores_are_written(begun: Job, recording: Path) -> None:
    exists: list[bool] = []
    aside = begun.out_dir / "training.set-aside"
    jobs.run(job(recording, begun.out_dir, max_epochs=2), lambda *_: exists.append((aside / "progress.json").exists()))
    assert exists[-1]  # while the model is scored
    files = {path.name for path in begun.out_dir.rglob("*")}
    assert files == {"config.json", "history.parquet", "outcomes.parquet", "scores.json", "weights.safetensors"}


def test_a_training_on_another_recording_is_set_aside(begun: Job, tmp_path: Path, recording: Path) -> None:
    copy = tmp_path / "000_known"
    copy.mkdir()
    (copy / "slices.parquet").write_bytes((recording / "slices.parquet").read_bytes())  # the same, made again
    result = jobs.run(job(copy, begun.out_dir, max_epochs=4))
    assert "different tables" in result["training_set_aside"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 99}, "the stored state has schema 99, this version writes 4"),
        ({"sha256": "0" * 64}, "is not the file that was written"),
        ({"tensors": "gone.safetensors"}, "the stored state is damaged"),
        ({"job": 7}, "the stored state is damaged"),
        ({"job": "x"}, "the stored state is damaged"),
        ({"epoch": float("inf")}, "the stored state is damaged"),
        ({"numbers": {"seconds": "long"}}, "the stored state is damaged"),
        ({"numbers": {"strange": 1}}, "does not fit the network"),
    ],
)
def test_a_state_that_does_not_fit_is_set_aside_with_the_reason(
    begun: Job, change: dict[str, object], reason: str
) -> None:
    progress = begun.out_dir / "training" / "progress.json"
    progress.write_text(json.dumps({**json.loads(progress.read_text()), **change}))
    assert reason in jobs.run(begun)["training_set_aside"]


def test_half_a_progress_file_is_set_aside(begun: Job) -> None:
    progress = begun.out_dir / "training" / "progress.json"
    progress.write_bytes(progress.read_bytes()[:40])
    assert "the stored state is damaged" in jobs.run(begun)["training_set_aside"]


def without(tensors: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(part)}


@pytest.fixture(scope="module")
def fresh(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of the job `begun` when it is trained without interruption."""
    out = tmp_path_factory.mktemp("fresh")
    jobs.run(job(recording, out, max_epochs=4))
    return (out / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("weights.", "of another shape"),
        ("best.", "of another shape"),
        ("best.", "missing"),
        ("adam.", "of another shape"),
        ("random.", "missing"),
    ],
)
def test_tensors_that_do_not_fit_the_network_only_cost_the_stored_training(
    part: str, how: str, begun: Job, fresh: bytes
) -> None:
    stored = StateFolder(begun.out_dir, json.loads((begun.out_dir / "training" / "progress.json").read_text())["job"])
    state = stored.read()
    assert state is not None
    cut = {name: tensor[:1] for name, tensor in state.tensors.items() if name.startswith(part) and tensor.ndim}
    tensors = {**without(dict(state.tensors), part), **(cut if how != "missing" else {})}
    stored.write(TrainingState(state.epoch, state.numbers, tensors))
    result = jobs.run(begun)
    assert "does not fit the network" in result["training_set_aside"]
    assert (result["went_on_after_epoch"], begun.out_dir.name in result["training_set_aside"]) == (None, True)
    assert (begun.out_dir / "weights.safetensors").read_bytes() == fresh


def test_a_training_of_another_version_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StateFolder(tmp_path, {}).write(TrainingState(1, {}, {"a": torch.ones(3)}))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99.0")
    later = StateFolder(tmp_path, {})
    assert later.read() is None
    assert "different version" in str(later.set_aside)


def test_a_training_goes_on_after_another_commit_of_the_same_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.2.0.dev3+gabcdef0.dirty", "1.2.0.dev0", "1.2.0"):
        monkeypatch.setattr("importlib.metadata.version", lambda name, version=version: version)
        assert StateFolder(tmp_path, {}).job["version"] == "1.2.0"


def test_the_previous_epoch_stays_complete_until_the_next_one_is(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, {"seed": 1})
    folder.write(TrainingState(1, {"best": 0.5}, {"a": torch.ones(3)}))
    (tmp_path / "training" / "epoch-00002.safetensors").write_bytes(
        b"cut sho"
    )  # killed before progress.json was written
    state = StateFolder(tmp_path, {"seed": 1}).read()
    assert state is not None
    assert (state.epoch, state.numbers, state.tensors["a"].tolist()) == (1, {"best": 0.5}, [1, 1, 1])


def test_only_the_last_epoch_is_on_disk(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, {})
    for epoch in (1, 2, 3):
        folder.write(TrainingState(epoch, {}, {"a": torch.ones(3)}))
    assert sorted(path.name for path in (tmp_path / "training").iterdir()) == [
        "epoch-00003.safetensors",
        "progress.json",
    ]
