"""`Run.predict`, on the models of the run folder that a real campaign of version 0.1.0 left."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from written_before import RUN, unpack

import harness
import model
from harness.errors import ModelError, StoreError, UsageError
from model.data.marks import task_marks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="module")
def run(folder: Path) -> harness.Run:
    return harness.open_run(folder / RUN)


@pytest.mark.parametrize("name", ["markov", "most_frequent", "lstm"])
def test_what_a_model_predicts_of_its_test_part_has_the_scores_that_it_was_stored_with(
    run: harness.Run, name: str
) -> None:
    if name == "lstm":
        pytest.importorskip("torch")
    predicted, (scores,) = run.predict(name), run.scores().query("predictor == @name").to_dict("records")
    contested = predicted[predicted.contested]
    assert len(predicted) == scores["test_events"]
    found = predicted.hit.mean(), contested.hit.mean(), predicted.bits.mean(), contested.chance.mean()
    wanted = [scores[key] for key in ("top1", "contested_top1", "bits_per_switch", "chance_top1")]
    assert found == pytest.approx(wanted, abs=1e-6)
    assert not predicted.learned.any()
    assert {*predicted.model} == {f"{name}_s0"}
    assert {*predicted.arm} == {"nginx_ab"}


def test_each_row_is_a_switch_of_the_recording_with_the_slice_that_it_had(run: harness.Run) -> None:
    predicted, (trial,) = run.predict("markov", share=1.0), run.trials
    slices = trial.frame("slices")
    assert predicted.start_ns.tolist() == slices.start_ns.tolist()
    assert np.allclose(predicted.slice_us * 1000, slices.slice_ns.clip(lower=1))
    assert predicted.contested.tolist() == slices.contested.tolist()
    assert predicted.event.tolist() == [*range(len(slices))]
    marks, known = np.array(task_marks(slices.comm.tolist(), slices.tid.tolist())), predicted.mark != "<unknown>"
    assert (predicted.mark[known] == marks[known]).all()
    assert known.mean() > 0.9
    assert predicted.learned.all()


def test_the_likeliest_mark_is_the_one_that_came_where_it_hit(run: harness.Run) -> None:
    predicted = run.predict("markov")
    known = predicted[predicted.mark != "<unknown>"]
    assert ((known.likeliest == known.mark) == known.hit).all()
    assert np.allclose(known.confidence[known.hit], known.probability[known.hit])
    assert (predicted.confidence >= predicted.probability - 1e-9).all()


def test_a_model_of_another_folder_predicts_all_of_the_trials_and_is_refused_on_another_kernel(
    run: harness.Run, folder: Path
) -> None:
    other = folder / "models" / "slice_markov_s0"
    stored = model.load(other)
    assert len(run.predict(stored)) == len(run.predict(other)) == len(run.trials[0].table("slices"))
    assert run.predict(other, share=0.1).equals(run.predict(str(other), run.trials, share=0.1))


def test_a_trial_of_another_run_is_predicted_as_a_whole(run: harness.Run, folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder / RUN, tmp_path / "2026-11-30T00-00-00_copy"))
    predicted = run.predict("markov", harness.open_run(other))
    assert len(predicted) == len(run.trials[0].table("slices"))
    assert predicted.learned.all()  # it is known by its content


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("markof", {}, "no model 'markof'"),
        ("markov", {"seed": 4}, "no model 'markov' with the seed 4"),
        ("markov", {"arm": "apache"}, "no model 'markov' of the arm apache"),
        ("trials", {}, "no model 'trials'"),
    ],
)
def test_a_model_that_the_run_does_not_have_is_an_error_with_those_that_it_has(
    run: harness.Run, name: str, options: dict, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        run.predict(name, **options)
    assert "lstm, markov, most_frequent" in str(caught.value)


def test_a_recording_or_a_share_that_cannot_be_predicted_is_an_error(run: harness.Run, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="share 2: expected"):
        run.predict("markov", share=2)
    with pytest.raises(UsageError, match=r"no slices\.parquet"):
        run.predict("markov", tmp_path)


def test_a_changed_model_predicts_nothing(folder: Path, tmp_path: Path) -> None:
    run = harness.open_run(Path(shutil.copytree(folder / RUN, tmp_path / RUN)))
    (run.path / "models" / "markov_s0" / "scores.json").write_text("{}")
    with pytest.raises(StoreError, match=r"scores\.json is not the file that the run wrote"):
        run.predict("markov")
