from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from model import checkpoint, jobs, predictors
from model.data import streams, synthetic
from model.errors import CheckpointError, MissingLibraryError, SettingError
from model.files import sealed
from model.jobs import Job

pytestmark = pytest.mark.slow

SPLIT = (0.7, 0.15, 0.15)
SHORT = {"max_epochs": 2, "hidden": 8, "steps": 32}


def job(recording: Path, out: Path, predictor: str = "markov", **params: object) -> Job:
    return Job((recording,), predictor, 0, "task", SPLIT, out, params)


def test_a_job_stores_all_its_files_and_scores(recording: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    result = jobs.run(job(recording, tmp_path, "lstm", **SHORT), lambda what, done, total: messages.append(what))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", "weights.safetensors", "history.parquet", "outcomes.parquet", "scores.json"}
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert stored["overall"]["bits_per_switch"] == result["overall"]["bits_per_switch"]
    assert {"predictor", "regime", "mark", "seed", "trials", "test_events", "fit_seconds", "parameters"} <= set(stored)
    assert {"top1", "top1_ci", "bits_per_switch", "bits_ci", "time_bits", "time_mae_us"} <= set(stored["overall"])
    assert 0 < stored["contested"]["chance_top1"] < 1
    assert stored["valid"]["contested"]["events"] == 1500
    assert stored["rollout"]["steps"] == 1000
    assert pq.read_table(tmp_path / "history.parquet")["epoch"].to_pylist() == [1, 2]
    assert any("epoch 2" in what for what in messages)


def test_only_the_very_same_job_counts_as_done(short_recording: Path, tmp_path: Path) -> None:
    wanted = job(short_recording, tmp_path, order=1)
    assert not jobs.done(wanted)
    jobs.run(wanted)
    assert jobs.done(wanted)
    assert not jobs.done(job(short_recording, tmp_path, order=2))
    (tmp_path / "scores.json").write_text("{")
    assert not jobs.done(wanted)


def test_a_recording_that_was_written_again_makes_another_job(short_recording: Path, tmp_path: Path) -> None:
    copy = tmp_path / "000_known"
    copy.mkdir()
    (copy / "slices.parquet").write_bytes((short_recording / "slices.parquet").read_bytes())
    wanted = job(copy, tmp_path / "out", order=1)
    jobs.run(wanted)
    written = (copy / "slices.parquet").stat()
    (copy / "slices.parquet").write_bytes((short_recording / "slices.parquet").read_bytes())
    later_ns = written.st_mtime_ns + 2_000_000_000  # on any file system's clock
    os.utime(copy / "slices.parquet", ns=(later_ns, later_ns))
    assert not jobs.done(wanted)


def test_old_scores_are_gone_when_a_new_job_cannot_end(short_recording: Path, tmp_path: Path) -> None:
    jobs.run(job(short_recording, tmp_path, order=1))
    (tmp_path / "history.parquet").unlink()
    (tmp_path / "history.parquet").mkdir()
    with pytest.raises(OSError, match="history"):
        jobs.run(job(short_recording, tmp_path, order=2))
    assert not (tmp_path / "scores.json").exists()


def test_a_job_may_be_tested_on_another_recording(recording: Path, source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "other", source, 2000, seed=5)
    wanted = dataclasses.replace(job(recording, tmp_path / "out", order=2), test_tables=(tmp_path / "other",))
    result = jobs.run(wanted)
    assert (result["test_events"], result["trials"]) == (2000, ["000_known", "other"])
    assert result["overall"]["bits_per_switch"] == pytest.approx(source.entropy_bits(), abs=0.1)
    assert jobs.done(wanted)
    assert not jobs.done(dataclasses.replace(wanted, test_tables=()))


def test_a_job_can_be_sent_to_another_process(short_recording: Path, tmp_path: Path) -> None:
    wanted = job(short_recording, tmp_path, order=1)
    assert pickle.loads(pickle.dumps(wanted)) == wanted


def test_an_unknown_predictor_names_the_nearest(short_recording: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="did you mean 'markov'"):
        jobs.run(job(short_recording, tmp_path, "markow"))


def test_an_unknown_setting_names_those_there_are(short_recording: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no setting 'depth': it has order, max_order"):
        jobs.run(job(short_recording, tmp_path, depth=3))


def test_a_predictor_whose_library_is_missing_names_the_extra(
    short_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(predictors.EXTRAS, "markov", ("no_such_library", "counting", "no-such-library"))
    with pytest.raises(
        MissingLibraryError, match="markov: no-such-library is not installed: it comes with the extra counting"
    ):
        jobs.run(job(short_recording, tmp_path))


def test_a_predictor_is_rebuilt_from_its_folder_alone(
    short_recording: Path, tmp_path: Path, dataset: streams.Dataset
) -> None:
    jobs.run(job(short_recording, tmp_path, "lstm", **SHORT))
    first, again = checkpoint.load(tmp_path), checkpoint.load(tmp_path)
    assert first.vocabulary == dataset.vocabulary
    left, right = (c.predictor.predict(dataset.test[0]).log_probs for c in (first, again))
    assert np.array_equal(left, right)


def test_the_same_seed_gives_the_same_bits(short_recording: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        jobs.run(job(short_recording, tmp_path / name, "lstm", **SHORT))
    first, second = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second
    jobs.run(Job((short_recording,), "lstm", 1, "task", SPLIT, tmp_path / "c", SHORT))
    assert (tmp_path / "c" / "weights.safetensors").read_bytes() != first


def test_tampered_weights_are_refused(short_recording: Path, tmp_path: Path) -> None:
    jobs.run(job(short_recording, tmp_path, order=1))
    weights = bytearray((tmp_path / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: not the weights"):
        checkpoint.load(tmp_path)


def test_a_checkpoint_of_another_schema_is_refused(short_recording: Path, tmp_path: Path) -> None:
    jobs.run(job(short_recording, tmp_path, order=1))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(sealed({**config, "schema": 7})))
    with pytest.raises(CheckpointError, match="checkpoint schema 7: this version reads 1"):
        checkpoint.load(tmp_path)


def test_weights_that_do_not_fit_their_settings_are_refused(short_recording: Path, tmp_path: Path) -> None:
    jobs.run(job(short_recording, tmp_path, "lstm", **SHORT))
    config = json.loads((tmp_path / "config.json").read_text())
    config["settings"]["hidden"] = 16
    (tmp_path / "config.json").write_text(json.dumps(sealed(config)))
    with pytest.raises(CheckpointError, match="does not fit a lstm"):
        checkpoint.load(tmp_path)


def test_half_a_checkpoint_is_refused(short_recording: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected the folder of a trained predictor"):
        checkpoint.load(tmp_path / "nowhere")
    jobs.run(job(short_recording, tmp_path, order=1))
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: No such file"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("name", ["slices.parquet", "wakeups.parquet", "runtimes.parquet", "guest.json"])
def test_a_change_of_any_file_that_it_reads_makes_another_job(name: str, short_recording: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(short_recording, tmp_path / "tables"))
    before = job(folder, tmp_path / "out").digest()
    assert job(folder, tmp_path / "out").digest() == before
    (folder / name).write_bytes(b"another")
    assert job(folder, tmp_path / "out").digest() != before
