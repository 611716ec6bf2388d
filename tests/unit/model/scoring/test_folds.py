from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from model.errors import SettingError
from model.scoring import folds, seeds


def run(folder: Path, load: dict[str, object], cpu: str = "Xeon", **more: object) -> Path:
    """A run folder without trials."""
    folder.mkdir(parents=True)
    host = {"cpu": cpu, "cores": 2, "memory_mb": 24105, "kernel": "6.18", **more}
    (folder / "manifest.json").write_text(json.dumps({"spec": {"load": load}, "host": host}))
    return folder


def trial(run: Path, name: str, accelerator: str = "kvm", **settings: object) -> Path:
    folder = run / "trials" / name
    folder.mkdir(parents=True)
    content = {"settings": settings, "machine": {"accelerator": accelerator}}
    (folder / "trial.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> list[Path]:
    """Two trials with five clients and one with fifty."""
    folder = run(tmp_path / "sweep", {"kind": "nginx_ab", "concurrency": 5})
    many = trial(folder, "001_b", **{"load.concurrency": 50})
    return [trial(folder, "000_a"), many, trial(folder, "002_a")]


def test_each_recording_is_held_out_once_and_the_others_are_learned_from(sweep: list[Path]) -> None:
    made = folds.make_folds(sweep, "recording")
    assert [fold.name for fold in made] == ["000_a", "001_b", "002_a"]
    assert [fold.test for fold in made] == [(one,) for one in sweep]
    assert all(set(fold.train) == set(sweep) - set(fold.test) for fold in made)
    assert made[0].slug == "000_a"


def test_trials_of_the_same_name_are_named_with_their_runs(tmp_path: Path) -> None:
    same_name = [trial(run(tmp_path / name, {"kind": "idle"}), "000") for name in ("old", "new")]
    made = folds.make_folds([*same_name, trial(tmp_path / "old", "001")], "recording")
    assert [fold.name for fold in made] == ["000, of old", "000, of new", "001"]


@pytest.mark.parametrize("by", ["recording", "run"])
def test_runs_of_the_same_name_in_two_folders_are_two_groups(by: str, tmp_path: Path) -> None:
    same_name = [trial(run(tmp_path / place / "sweep", {"kind": "idle"}), "000") for place in ("old", "new")]
    first, second = folds.make_folds(same_name, by)
    assert (first.test, first.train) == ((same_name[0],), (same_name[1],))
    assert str(tmp_path / "old" / "sweep") in first.name
    assert len({first.name, second.name}) == len({first.slug, second.slug}) == 2


def test_names_that_differ_only_in_punctuation_get_different_folders(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, {"kind": "idle"}) for name in ("a b", "a+b", "c" * 200)]
    made = folds.make_folds([trial(one, "000") for one in runs], "run")
    assert [fold.name for fold in made] == ["a b", "a+b", "c" * 200]
    assert len({fold.slug for fold in made}) == 3
    assert all(re.fullmatch(r"[\w.-]{1,120}", fold.slug) for fold in made)


def test_loads_differ_by_the_experiment_and_by_the_trials_settings(sweep: list[Path]) -> None:
    five, fifty = folds.make_folds(sweep, "load")
    assert (five.name, fifty.name) == ("nginx_ab, concurrency 5", "nginx_ab, concurrency 50")
    assert (five.test, five.train) == ((sweep[0], sweep[2]), (sweep[1],))
    assert (fifty.test, fifty.train) == ((sweep[1],), (sweep[0], sweep[2]))


def test_another_kind_of_load_is_another_load(tmp_path: Path) -> None:
    kinds = [run(tmp_path / kind, {"kind": kind}) for kind in ("idle", "stress_ng")]
    names = [fold.name for fold in folds.make_folds([trial(kind, "000") for kind in kinds], "load")]
    assert names == ["idle", "stress_ng"]


def test_hosts_differ_by_machine_and_by_accelerator(tmp_path: Path) -> None:
    xeon, epyc = (run(tmp_path / cpu, {"kind": "idle"}, cpu) for cpu in ("Xeon", "EPYC"))
    recordings = [trial(xeon, "000"), trial(epyc, "000"), trial(epyc, "001", accelerator="tcg")]
    names = [fold.name for fold in folds.make_folds(recordings, "host")]
    assert names == [f"cpu {cpu}, under {how}" for cpu, how in (("Xeon", "kvm"), ("EPYC", "kvm"), ("EPYC", "tcg"))]
    assert len(folds.make_folds(recordings, "run")) == 2


def test_a_host_is_the_same_with_a_little_less_memory_and_another_with_another_kernel(
    tmp_path: Path,
) -> None:
    booted = [("first", {}), ("again", {"memory_mb": 24101}), ("upgraded", {"kernel": "6.19"})]
    first, again, upgraded = (trial(run(tmp_path / name, {"kind": "idle"}, **more), "000") for name, more in booted)
    old, new = folds.make_folds([first, again, upgraded], "host")
    assert (old.name, old.test) == ("kernel 6.18", (first, again))
    assert (new.name, new.test) == ("kernel 6.19", (upgraded,))


def test_a_group_is_named_by_the_traits_that_differ_from_others_of_its_kind(tmp_path: Path) -> None:
    loads = [{"kind": "stress_ng", "workers": n, "stressor": "switch"} for n in (1, 2)]
    runs = [run(tmp_path / str(n), load) for n, load in enumerate([*loads, {"kind": "idle", "workers": 7}])]
    names = [fold.name for fold in folds.make_folds([trial(one, "000") for one in runs], "load")]
    assert names == ["stress_ng, workers 1", "stress_ng, workers 2", "idle"]


@pytest.mark.parametrize("by", ["run", "load", "host"])
def test_one_group_alone_cannot_be_held_out(by: str, sweep: list[Path]) -> None:
    with pytest.raises(
        SettingError, match=rf"all 2 recordings are of one {by} \(.+\): name recordings of at least two"
    ):
        folds.make_folds([sweep[0], sweep[2]], by)


def test_one_recording_alone_cannot_be_split(sweep: list[Path]) -> None:
    with pytest.raises(SettingError, match="split by recording: there is but one recording"):
        folds.make_folds(sweep[:1], "recording")


@pytest.mark.parametrize("by", ["load", "host"])
def test_tables_that_no_run_made_have_no_load_and_no_host(by: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=rf"its {by} is not known: name it with --test"):
        folds.make_folds([tmp_path / "a", tmp_path / "b"], by)


def test_an_unreadable_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{")
    for by, words in (("load", "does not say what load"), ("host", "does not say on which host")):
        with pytest.raises(SettingError, match=words):
            folds.make_folds([tmp_path / "run" / "trials" / "a", tmp_path / "b"], by)


def test_an_unknown_grouping_is_refused(sweep: list[Path]) -> None:
    with pytest.raises(SettingError, match="expected one of recording, run, load, host"):
        folds.make_folds(sweep, "week")


def scored(fold: str, seed: int, top1: float, **contested: object) -> dict[str, object]:
    head = {"predictor": "gru", "regime": "slices", "mark": "task", "seed": seed, "fold": fold, "test_events": 10}
    head |= {"trials": [fold], "share_contested": 0.5, "share_unknown": 0.1 if fold == "a" else 0.3}
    part = {"events": 10, "top1": top1, "top1_ci": [0.0, 1.0], "bits_per_switch": 1.0}
    return {**head, "overall": part, "forced": part, "contested": {"events": 0, **contested}, "open": part}


def test_a_mean_over_folds_counts_every_fold_once_whatever_its_seeds() -> None:
    tables = [scored("a", 0, 0.5), scored("a", 1, 0.7), scored("b", 0, 0.7), scored("b", 1, 0.9)]
    (mean,) = folds.summarise(seeds.summarise(tables))
    assert mean["overall"]["top1"] == pytest.approx(0.7)
    low, high = mean["overall"]["top1_ci"]
    assert (low + high) / 2 == pytest.approx(0.7)
    assert high - low == pytest.approx(2 * 12.706 * np.std([0.6, 0.8], ddof=1) / np.sqrt(2), rel=1e-3)
    low, high = mean["overall"]["top1_seeds_ci"]
    assert high - low == pytest.approx(2 * 12.706 * np.std([0.6, 0.8], ddof=1) / np.sqrt(2), rel=1e-3)
    assert mean["overall"]["bits_ci"] == (1.0, 1.0)
    assert mean["seeds"] == [0, 1]
    assert [fold["fold"] for fold in mean["folds"]] == ["a", "b"]
    assert mean["share_unknown"] == pytest.approx(0.2)


def test_one_seed_of_each_fold_has_no_interval_over_seeds() -> None:
    (mean,) = folds.summarise(seeds.summarise([scored("a", 0, 0.5), scored("b", 0, 0.8)]))
    assert mean["overall"]["top1_seeds_ci"] is None
    assert mean["overall"]["top1_ci"] is not None


def test_a_seed_that_failed_in_one_fold_counts_where_it_did_not() -> None:
    tables = [scored("a", 0, 0.5), scored("a", 1, 0.7), scored("a", 2, 0.6), scored("b", 0, 0.7), scored("b", 2, 0.9)]
    (mean,) = folds.summarise(seeds.summarise(tables))
    assert mean["seeds"] == [0, 1, 2]
    assert mean["overall"]["top1"] == pytest.approx((0.6 + 0.8) / 2)
    low, high = mean["overall"]["top1_seeds_ci"]
    assert (low + high) / 2 == pytest.approx((0.6 + 0.75) / 2)  # seeds 0 and 2


def test_a_score_that_one_fold_lacks_is_not_in_the_mean() -> None:
    (mean,) = folds.summarise(seeds.summarise([scored("a", 0, 0.5, top3=0.4), scored("b", 0, 0.8)]))
    assert "top3" not in mean["contested"]
