from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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
from model.scoring.bootstrap import Blocks, mean_interval
from model.scoring.compare import Comparison
from model.scoring.outcomes import HASHES

Scored = Callable[..., Path]


@pytest.fixture
def scored(markov_models: list[Path], tmp_path: Path) -> Scored:
    """Copy the scored model of an order to a folder of that name; keywords replace columns of its outcomes."""

    def copy(name: str, order: int = 0, **columns: np.ndarray) -> Path:
        folder = Path(shutil.copytree(markov_models[order], tmp_path / name))
        scores = json.loads((folder / jobs.SCORES).read_text())
        del scores[HASHES]  # the tables are to be changed
        (folder / jobs.SCORES).write_text(json.dumps(scores))
        return replace_columns(folder, **columns)

    return copy


def replace_columns(folder: Path, **columns: np.ndarray) -> Path:
    """Replace columns of a model's outcomes."""
    if columns:
        table = pq.read_table(folder / jobs.OUTCOMES)
        for name, values in columns.items():
            table = table.set_column(table.column_names.index(name), name, [values])
        pq.write_table(table, folder / jobs.OUTCOMES)
    return folder


def compare_one(
    folders: list[Path], baselines: list[Path], score: str = "bits_per_switch", part: str = "overall"
) -> Comparison:
    (comparison,) = compare.compare(folders, baselines, [part], [score])
    return comparison


def random_hits(share: float, seed: int) -> np.ndarray:
    """Made-up hits in `share` of the 3,000 events."""
    return np.random.default_rng(seed).random(3_000) < share


@pytest.mark.slow
def test_a_better_predictor_saves_bits_beyond_chance(markov_models: list[Path]) -> None:
    floor, _, right = markov_models
    comparison = compare_one([right], [floor])
    difference = comparison.together
    assert (comparison.events, comparison.outcome, comparison.seeds_better) == (3000, "better", 1)
    assert difference.difference == pytest.approx(difference.value - difference.baseline)
    assert difference.saving == pytest.approx(1 - difference.value / difference.baseline)
    assert difference.saving_ci is not None
    assert difference.saving is not None
    assert 0 < difference.saving_ci[0] < difference.saving < difference.saving_ci[1] < 1
    assert compare_one([floor], [right]).outcome == "worse"
    assert compare_one([right], [floor], part="contested").events == 1500


def test_a_predictor_is_no_better_than_itself(markov_models: list[Path]) -> None:
    folder = markov_models[1]
    for comparison in compare.compare([folder], [folder]):
        assert (comparison.together.difference, comparison.together.difference_ci) == (0.0, (0.0, 0.0))
        assert comparison.outcome == "unclear"


def test_a_paired_bootstrap_finds_a_lead_that_two_overlapping_intervals_hide(scored: Scored) -> None:
    base = np.random.default_rng(1).random(3_000) < np.linspace(0.3, 0.9, 3_000)  # harder in the beginning
    baseline, better = scored("baseline", hit=base), scored("better", hit=base | random_hits(0.03, seed=2))
    stream = np.zeros(3_000, int)
    ours, theirs = (
        mean_interval(pq.read_table(folder / jobs.OUTCOMES)["hit"].to_numpy().astype(float), stream=stream)
        for folder in (better, baseline)
    )
    assert ours is not None
    assert theirs is not None
    assert ours[0] < theirs[1]  # they overlap
    assert compare_one([better], [baseline], "top1").outcome == "better"


def test_seeds_are_compared_one_by_one_and_together_with_students_interval_over_them(scored: Scored) -> None:
    baseline = scored("baseline", hit=random_hits(0.5, seed=0))
    seeds = [scored(f"seed{seed}", hit=random_hits(0.6, seed)) for seed in (1, 2, 3)]
    comparison = compare_one(seeds, [baseline], "top1")
    each = [seed.difference for seed in comparison.by_seed]
    assert comparison.together.difference == pytest.approx(np.mean(each))
    low, high = comparison.difference_seeds_ci or (0, 0)
    assert (high - low) / 2 == pytest.approx(4.30265 * np.std(each, ddof=1) / np.sqrt(3), rel=1e-4)
    assert (comparison.outcome, comparison.seeds_better) == ("better", 3)
    assert compare_one(seeds[:1], [baseline], "top1").difference_seeds_ci is None
    values = comparison.as_dict()
    assert (values["outcome"], len(values["by_seed"])) == ("better", 3)


def test_the_spread_of_a_baselines_seeds_widens_the_interval_over_seeds(scored: Scored) -> None:
    mine, others = (0.9, 1.0, 1.1), (1.5, 2.0, 2.5)
    ours = [scored(f"ours{bits}", bits=np.full(3_000, bits)) for bits in mine]
    theirs = [scored(f"theirs{bits}", bits=np.full(3_000, bits)) for bits in others]
    comparison = compare_one(ours, theirs)
    assert comparison.together.difference == pytest.approx(-1)
    assert comparison.difference_seeds_ci == pytest.approx([-1 - welch(0.1, 0.5), -1 + welch(0.1, 0.5)])
    relative = 0.1 / 2, 0.5 * 0.5 / 2  # of a share of 1 / 2: each value against 2 bits
    assert comparison.saving_seeds_ci == pytest.approx([0.5 - welch(*relative), 0.5 + welch(*relative)])


def welch(*deviations: float) -> float:
    """Half the interval of the difference of two means of three."""
    parts = [deviation**2 / 3 for deviation in deviations]
    freedom = sum(parts) ** 2 / sum(part**2 / 2 for part in parts)
    return float(stats.t.ppf(0.975, freedom) * sum(parts) ** 0.5)


def test_scores_of_other_events_are_not_compared(scored: Scored) -> None:
    left, right = scored("a", 1), scored("b", 1)
    pq.write_table(pq.read_table(right / jobs.OUTCOMES)[:300], right / jobs.OUTCOMES)
    with pytest.raises(StreamError, match="scored on other events"):
        compare.compare([left], [right])
    moved = scored("c", 1, mark=np.zeros(3_000, np.int32))
    with pytest.raises(StreamError, match="with the same marks"):
        compare.compare([left], [moved])


def test_an_unknown_part_or_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="expected one of overall, contested, open"):
        compare.compare([tmp_path], [tmp_path], ["hard"])
    with pytest.raises(SettingError, match="expected one of top1, bits_per_switch, time_bits"):
        compare.compare([tmp_path], [tmp_path], scores=["top2"])
    with pytest.raises(SettingError, match="at least one seed of both"):
        compare.compare([], [tmp_path])


def test_no_block_crosses_from_one_recording_into_the_next(source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "000_known", source, 5_000)
    synthetic.write(tmp_path / "001_known", source, 3_333, seed=4)
    both = (tmp_path / "000_known", tmp_path / "001_known")
    for order in (0, 2):
        jobs.run(Job(both, "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / str(order), {"order": order}))
    stream = pq.read_table(tmp_path / "2" / jobs.OUTCOMES)["stream"].to_numpy()
    assert np.bincount(stream).tolist() == [750, 500]
    assert np.flatnonzero(stream == 1)[0] in Blocks.draw(stream).begin
    comparison = compare_one([tmp_path / "2"], [tmp_path / "0"]).together
    assert comparison.difference_ci is not None
    assert comparison.difference_ci[0] < comparison.difference < comparison.difference_ci[1]


@pytest.mark.filterwarnings("error")
def test_a_rare_part_has_a_difference_and_no_interval(scored: Scored) -> None:
    rare = np.arange(3_000) < 30
    right, floor = (scored(str(order), order, open=rare) for order in (2, 0))
    comparison = compare_one([right], [floor], part="open")
    assert (comparison.events, comparison.outcome) == (30, "unclear")
    assert comparison.together.saving is not None
    assert 0 < comparison.together.saving < 1
    assert (comparison.together.difference_ci, comparison.together.saving_ci) == (None, None)


@pytest.mark.filterwarnings("error")
def test_a_part_without_switches_is_left_out_and_without_bits_nothing_is_saved(scored: Scored) -> None:
    folder = scored("a", 1, open=np.zeros(3_000, bool))
    assert {comparison.part for comparison in compare.compare([folder], [folder])} == {"overall", "contested"}
    replace_columns(folder, bits=np.zeros(3_000))
    assert compare_one([folder], [folder]).together.saving is None


def test_outcomes_of_an_older_scorer_are_refused(scored: Scored) -> None:
    folder = scored("a", 1)
    pq.write_table(pq.read_table(folder / jobs.OUTCOMES).drop_columns("stream"), folder / jobs.OUTCOMES)
    with pytest.raises(TableError, match="written by an older scorer, without stream"):
        compare.compare([folder], [folder])


def test_damaged_or_missing_outcomes_are_refused(scored: Scored, tmp_path: Path) -> None:
    folder = scored("a", 1)
    whole = (folder / jobs.OUTCOMES).read_bytes()
    (folder / jobs.OUTCOMES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match="no readable table"):
        compare.compare([folder], [folder])
    with pytest.raises(TableError, match="expected the folder of a scored predictor"):
        compare.compare([tmp_path], [tmp_path])


def of_trials(gains: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits of a baseline, hits of a predictor that gains so much in each trial, and the trial of each event."""
    trial, rng = np.arange(3_000) * len(gains) // 3_000, np.random.default_rng(4)
    base = rng.random(3_000) < 0.6
    flipped = rng.random(3_000) < np.abs(np.array(gains))[trial]
    return base, np.where(flipped, np.array(gains)[trial] > 0, base), trial.astype(np.int32)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ([0.2, 0.2, 0.2], "better"),
        ([-0.2, -0.2, -0.2], "worse"),
        ([0.5, 0.1, -0.1], "unclear"),
        ([0.5, 0.1], "unclear"),
    ],
)
def test_a_lead_in_some_trials_only_is_unclear_though_it_is_clear_within_them(
    gains: list[float], outcome: str, scored: Scored
) -> None:
    base, changed, trial = of_trials(gains)
    sides = [scored(name, hit=hit, trial=trial) for name, hit in (("ours", changed), ("theirs", base))]
    comparison = compare_one(sides[:1], sides[1:], "top1")
    assert (comparison.outcome, comparison.interval_trials) == (outcome, len(gains))
    alone = [scored(f"{name}_alone", hit=hit) for name, hit in (("ours", changed), ("theirs", base))]
    within = compare_one(alone[:1], alone[1:], "top1")
    assert within.interval_trials == 1
    assert within.outcome == ("worse" if gains[0] < 0 else "better")


def test_outcomes_without_trials_are_compared_within_the_recordings(scored: Scored) -> None:
    folders = [scored(str(order), order) for order in (2, 0)]
    for folder in folders:
        pq.write_table(pq.read_table(folder / jobs.OUTCOMES).drop_columns("trial"), folder / jobs.OUTCOMES)
    assert compare_one(folders[:1], folders[1:]).interval_trials == 1
