from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from model import jobs
from model.data import synthetic
from model.errors import SettingError, StreamError, TableError
from model.jobs import Job
from model.scoring import compare
from model.scoring.bootstrap import Blocks, interval
from model.scoring.compare import Comparison


def scored(recording: Path, out: Path, order: int) -> Path:
    jobs.run(Job((recording,), "markov", 0, "task", (0.7, 0.15, 0.15), out, {"order": order}))
    return out


def one(
    folders: list[Path], baselines: list[Path], score: str = "bits_per_switch", part: str = "overall"
) -> Comparison:
    (found,) = compare.compare(folders, baselines, [part], [score])
    return found


def reduced(folder: Path, **columns: np.ndarray) -> Path:
    """The folder, some columns of its outcomes replaced."""
    table = pq.read_table(folder / jobs.OUTCOMES)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, [values])
    pq.write_table(table, folder / jobs.OUTCOMES)
    return folder


def hitting(folder: Path, recording: Path, share: float, seed: int, like: np.ndarray | None = None) -> Path:
    """A scored predictor whose hits are made up: `share` of the events, those of `like` first."""
    scored(recording, folder, 0)
    draw = np.random.default_rng(seed)
    hit = draw.random(3_000) < share if like is None else like | (draw.random(3_000) < share)
    return reduced(folder, hit=hit)


def test_a_better_predictor_saves_bits_beyond_chance(recording: Path, tmp_path: Path) -> None:
    right, floor = (scored(recording, tmp_path / str(order), order) for order in (2, 0))
    found = one([right], [floor])
    told = found.together
    assert (found.events, found.outcome, found.seeds_better) == (3000, "better", 1)
    assert told.difference == pytest.approx(told.value - told.baseline)
    assert told.saving == pytest.approx(1 - told.value / told.baseline)
    assert told.saving_ci is not None
    assert told.saving is not None
    assert 0 < told.saving_ci[0] < told.saving < told.saving_ci[1] < 1
    assert one([floor], [right]).outcome == "worse"
    assert one([right], [floor], part="contested").events == 1500


def test_a_predictor_is_no_better_than_itself(recording: Path, tmp_path: Path) -> None:
    folder = scored(recording, tmp_path / "a", 1)
    for found in compare.compare([folder], [folder]):
        assert (found.together.difference, found.together.difference_ci) == (0.0, (0.0, 0.0))
        assert found.outcome == "unclear"


def test_a_lead_that_two_intervals_hide_is_found_where_both_are_redrawn_together(
    recording: Path, tmp_path: Path
) -> None:
    base = np.random.default_rng(1).random(3_000) < np.linspace(0.3, 0.9, 3_000)  # harder in the beginning
    baseline = reduced(scored(recording, tmp_path / "baseline", 0), hit=base)
    better = hitting(tmp_path / "better", recording, 0.03, 2, like=base)
    stream = np.zeros(3_000, int)
    ours, theirs = (
        interval(pq.read_table(folder / jobs.OUTCOMES)["hit"].to_numpy().astype(float), stream=stream)
        for folder in (better, baseline)
    )
    assert ours is not None
    assert theirs is not None
    assert ours[0] < theirs[1]  # they overlap
    assert one([better], [baseline], "top1").outcome == "better"


def test_seeds_are_compared_one_by_one_and_together_and_their_spread_is_students(
    recording: Path, tmp_path: Path
) -> None:
    baseline = hitting(tmp_path / "baseline", recording, 0.5, 0)
    seeds = [hitting(tmp_path / str(seed), recording, 0.6, seed) for seed in (1, 2, 3)]
    found = one(seeds, [baseline], "top1")
    each = [seed.difference for seed in found.by_seed]
    assert found.together.difference == pytest.approx(np.mean(each))
    low, high = found.difference_seeds_ci or (0, 0)
    assert (high - low) / 2 == pytest.approx(4.30265 * np.std(each, ddof=1) / np.sqrt(3), rel=1e-4)
    assert (found.outcome, found.seeds_better) == ("better", 3)
    assert one(seeds[:1], [baseline], "top1").difference_seeds_ci is None
    told = found.told()
    assert (told["outcome"], len(told["by_seed"])) == ("better", 3)


def with_bits(recording: Path, out: Path, bits: float) -> Path:
    """A scored predictor with made up bits, the same for every event."""
    return reduced(scored(recording, out, 0), bits=np.full(3_000, bits))


def test_the_spread_of_a_baselines_seeds_widens_the_interval_over_seeds(recording: Path, tmp_path: Path) -> None:
    mine, others = (0.9, 1.0, 1.1), (1.5, 2.0, 2.5)
    ours = [with_bits(recording, tmp_path / f"ours{bits}", bits) for bits in mine]
    theirs = [with_bits(recording, tmp_path / f"theirs{bits}", bits) for bits in others]
    found = one(ours, theirs)
    assert found.together.difference == pytest.approx(-1)
    assert found.difference_seeds_ci == pytest.approx([-1 - welch(0.1, 0.5), -1 + welch(0.1, 0.5)])
    relative = 0.1 / 2, 0.5 * 0.5 / 2  # of a share of 1 / 2: each value against 2 bits
    assert found.saving_seeds_ci == pytest.approx([0.5 - welch(*relative), 0.5 + welch(*relative)])


def welch(*deviations: float) -> float:
    """Half the interval of the difference of two means of three."""
    parts = [deviation**2 / 3 for deviation in deviations]
    freedom = sum(parts) ** 2 / sum(part**2 / 2 for part in parts)
    return float(stats.t.ppf(0.975, freedom) * sum(parts) ** 0.5)


def test_scores_of_other_events_are_not_compared(recording: Path, source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "other", source, 2000)
    left, right = scored(recording, tmp_path / "a", 1), scored(tmp_path / "other", tmp_path / "b", 1)
    with pytest.raises(StreamError, match="scored on other events"):
        compare.compare([left], [right])
    moved = reduced(scored(recording, tmp_path / "c", 1), mark=np.zeros(3_000, np.int32))
    with pytest.raises(StreamError, match="with the same marks"):
        compare.compare([left], [moved])


def test_a_part_or_a_score_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="expected one of overall, contested, open"):
        compare.compare([tmp_path], [tmp_path], ["hard"])
    with pytest.raises(SettingError, match="expected one of top1, bits_per_switch, time_nll_nats"):
        compare.compare([tmp_path], [tmp_path], scores=["top2"])
    with pytest.raises(SettingError, match="at least one seed of both"):
        compare.compare([], [tmp_path])


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
    found = one([tmp_path / "2"], [tmp_path / "0"]).together
    assert found.difference_ci is not None
    assert found.difference_ci[0] < found.difference < found.difference_ci[1]


@pytest.mark.filterwarnings("error")
def test_a_rare_part_has_a_difference_and_no_interval(recording: Path, tmp_path: Path) -> None:
    rare = np.arange(3_000) < 30
    right, floor = (reduced(scored(recording, tmp_path / str(order), order), open=rare) for order in (2, 0))
    found = one([right], [floor], part="open")
    assert (found.events, found.outcome) == (30, "unclear")
    assert found.together.saving is not None
    assert 0 < found.together.saving < 1
    assert (found.together.difference_ci, found.together.saving_ci) == (None, None)


@pytest.mark.filterwarnings("error")
def test_a_part_without_switches_is_left_out_and_without_bits_nothing_is_saved(recording: Path, tmp_path: Path) -> None:
    folder = reduced(scored(recording, tmp_path / "a", 1), open=np.zeros(3_000, bool))
    assert {found.part for found in compare.compare([folder], [folder])} == {"overall", "contested"}
    reduced(folder, bits=np.zeros(3_000))
    assert one([folder], [folder]).together.saving is None


def test_outcomes_of_an_older_scorer_are_refused(recording: Path, tmp_path: Path) -> None:
    folder = scored(recording, tmp_path / "a", 1)
    pq.write_table(pq.read_table(folder / jobs.OUTCOMES).drop_columns("stream"), folder / jobs.OUTCOMES)
    with pytest.raises(TableError, match="written by an older scorer, without stream"):
        compare.compare([folder], [folder])


def test_outcomes_that_are_damaged_or_not_there_are_refused(recording: Path, tmp_path: Path) -> None:
    folder = scored(recording, tmp_path / "a", 1)
    whole = (folder / jobs.OUTCOMES).read_bytes()
    (folder / jobs.OUTCOMES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match="no readable table"):
        compare.compare([folder], [folder])
    with pytest.raises(TableError, match="expected the folder of a scored predictor"):
        compare.compare([tmp_path], [tmp_path])
