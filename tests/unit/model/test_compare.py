from __future__ import annotations

from pathlib import Path

import pytest

from model import compare, jobs, synthetic
from model.errors import StreamError, TableError
from model.jobs import Job


def scored(recording: Path, out: Path, order: int) -> Path:
    jobs.run(Job((recording,), "markov", 0, "task", (0.7, 0.15, 0.15), out, {"order": order}))
    return out


def test_a_better_predictor_saves_bits_beyond_chance(recording: Path, tmp_path: Path) -> None:
    right, floor = (scored(recording, tmp_path / str(order), order) for order in (2, 0))
    found = compare.saving(right, floor)
    assert found.events == 3000
    assert found.share == pytest.approx(1 - found.bits / found.baseline_bits)
    assert 0 < found.share_ci[0] < found.share < found.share_ci[1] < 1
    contested = compare.saving(right, floor, "contested")
    assert contested.events == 1500


def test_a_predictor_saves_nothing_against_itself(recording: Path, tmp_path: Path) -> None:
    folder = scored(recording, tmp_path / "a", 1)
    found = compare.saving(folder, folder)
    assert (found.share, found.share_ci) == (0.0, (0.0, 0.0))


def test_scores_of_other_events_are_not_compared(recording: Path, source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "other", source, 2000)
    left, right = scored(recording, tmp_path / "a", 1), scored(tmp_path / "other", tmp_path / "b", 1)
    with pytest.raises(StreamError, match="scored on other events"):
        compare.saving(left, right)
    with pytest.raises(StreamError, match="expected one of overall, contested, open"):
        compare.saving(left, left, "hard")


def test_a_folder_without_outcomes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="expected the folder of a scored predictor"):
        compare.saving(tmp_path, tmp_path)
