from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from model import compare, jobs, synthetic
from model.bootstrap import Blocks
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


def test_blocks_are_not_drawn_over_the_seam_of_two_recordings(
    recording: Path, source: synthetic.Source, tmp_path: Path
) -> None:
    synthetic.write(tmp_path / "001_known", source, 3_333, seed=4)
    both = (recording, tmp_path / "001_known")
    for order in (0, 2):
        jobs.run(Job(both, "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / str(order), {"order": order}))
    stream = pq.read_table(tmp_path / "2" / jobs.OUTCOMES)["stream"].to_numpy()
    assert np.bincount(stream).tolist() == [3_000, 500]
    assert np.flatnonzero(stream == 1)[0] in Blocks.of(stream).begin
    found = compare.saving(tmp_path / "2", tmp_path / "0")
    assert found.share_ci[0] < found.share < found.share_ci[1]


def test_outcomes_of_an_older_scorer_are_refused(recording: Path, tmp_path: Path) -> None:
    folder = scored(recording, tmp_path / "a", 1)
    pq.write_table(pq.read_table(folder / jobs.OUTCOMES).drop_columns("stream"), folder / jobs.OUTCOMES)
    with pytest.raises(TableError, match="written by an older scorer"):
        compare.saving(folder, folder)


def test_a_folder_without_outcomes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="expected the folder of a scored predictor"):
        compare.saving(tmp_path, tmp_path)
