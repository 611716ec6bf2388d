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


def reduced(folder: Path, **columns: np.ndarray) -> Path:
    """The folder, some columns of its outcomes replaced."""
    table = pq.read_table(folder / jobs.OUTCOMES)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, [values])
    pq.write_table(table, folder / jobs.OUTCOMES)
    return folder


@pytest.mark.filterwarnings("error")
def test_a_rare_part_has_a_saving_and_no_interval(recording: Path, tmp_path: Path) -> None:
    rare = np.arange(3_000) < 30
    right, floor = (reduced(scored(recording, tmp_path / str(order), order), open=rare) for order in (2, 0))
    found = compare.saving(right, floor, "open")
    assert found.events == 30
    assert 0 < found.share < 1
    assert found.share_ci is None


@pytest.mark.filterwarnings("error")
def test_a_part_without_switches_or_bits_is_not_compared(recording: Path, tmp_path: Path) -> None:
    folder = reduced(scored(recording, tmp_path / "a", 1), open=np.zeros(3_000, bool))
    with pytest.raises(StreamError, match="no open switches among the 3000"):
        compare.saving(folder, folder, "open")
    reduced(folder, bits=np.zeros(3_000))
    with pytest.raises(StreamError, match="needs no bits for the contested switches"):
        compare.saving(folder, folder, "contested")


def test_outcomes_of_an_older_scorer_are_refused(recording: Path, tmp_path: Path) -> None:
    folder = scored(recording, tmp_path / "a", 1)
    pq.write_table(pq.read_table(folder / jobs.OUTCOMES).drop_columns("stream"), folder / jobs.OUTCOMES)
    with pytest.raises(TableError, match="written by an older scorer"):
        compare.saving(folder, folder)


def test_a_folder_without_outcomes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="expected the folder of a scored predictor"):
        compare.saving(tmp_path, tmp_path)
