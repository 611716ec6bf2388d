"""Two whole runs compared: outcomes, clocks, arms, facts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import comparable_run
import pytest

from harness.comparison.repeat.repeated import (
    CLOSE,
    DIFFERS,
    EQUAL,
    UNKNOWN,
    MetricComparison,
    RepeatComparison,
    compare_repeated,
)
from harness.errors import StoreError, UsageError
from harness.store import RunFolder

LSTM = {"lstm": [[0.92, 0.93], [0.925, 0.93], [0.93, 0.935]]}


def outcomes(comparison: RepeatComparison) -> dict[str, str]:
    return {row.metric: row.outcome for row in comparison.metrics}


def facts(comparison: RepeatComparison) -> dict[str, tuple[str, str]]:
    return {row.name: (row.first, row.second) for row in comparison.facts}


def test_a_run_and_its_copy_are_equal_in_every_metric_and_fact(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", scores=LSTM)
    shutil.copytree(first.path, tmp_path / "second")
    found = compare_repeated(first, RunFolder.open(tmp_path / "second"))
    assert set(outcomes(found).values()) == {EQUAL}
    assert found.equal
    assert found.facts == ()
    assert len(found.metrics) == 8 + 3
    assert found.conclusion == "equal: 11 of 11 metrics within what two such runs differ by, 11 within 1 %"


def test_trials_without_a_switch_have_a_rate_of_zero(tmp_path: Path) -> None:
    first, second = (comparable_run.make(tmp_path / name, requests=(0.0, 0.0)) for name in ("first", "second"))
    found = compare_repeated(first, second)
    rates = [(row.first, row.second, row.outcome) for row in found.metrics if row.unit == "rate"]
    assert rates == [(0.0, 0.0, EQUAL)] * 2


def test_a_shift_beyond_the_noise_but_below_one_percent_is_equal_within_one_percent(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first")
    second = comparable_run.make(tmp_path / "second", requests=(423.9, 424.4, 423.1))
    found = compare_repeated(first, second)
    assert outcomes(found)["requests/s"] == outcomes(found)["slice p90"] == CLOSE
    assert found.equal


def with_latencies(run: RunFolder, p50_ms: Sequence[float]) -> RunFolder:
    for path, latency in zip(sorted(run.path.glob("trials/*/trial.json")), p50_ms, strict=True):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"metrics": {**record["metrics"], "latency_p50_ms": latency}}))
    return RunFolder.open(run.path)


@pytest.mark.parametrize(
    ("here", "there", "outcome"),
    [
        ((10.0, 10.0, 10.0), (11.0, 11.0, 11.0), CLOSE),  # ab prints whole milliseconds
        ((10.0, 10.0, 10.0), (12.0, 12.0, 12.0), DIFFERS),
        ((0.31, 0.31, 0.32), (0.41, 0.42, 0.41), DIFFERS),
    ],
)
def test_latencies_are_compared_no_finer_than_they_were_printed(
    tmp_path: Path, here: Sequence[float], there: Sequence[float], outcome: str
) -> None:
    first, second = (
        with_latencies(comparable_run.make(tmp_path / name), latencies)
        for name, latencies in (("first", here), ("second", there))
    )
    found = compare_repeated(first, second)
    assert outcomes(found)["p50 latency"] == outcome
    assert next(row.shown_unit.name for row in found.metrics if row.metric == "p50 latency") == "ms"


def test_a_shift_beyond_both_differs_and_is_named(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first")
    second = comparable_run.make(tmp_path / "second", slice_factor=1.1)
    found = compare_repeated(first, second)
    differing = [metric for metric, outcome in outcomes(found).items() if outcome == DIFFERS]
    assert differing == ["slice p50", "slice p90", "slice p99"]
    assert not found.equal
    assert found.conclusion == "differs: 3 of 8 metrics: slice p50, slice p90, slice p99"


def test_trials_that_spread_widely_hide_a_large_difference_and_the_noise_shows_it(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", requests=(218.0, 155.0, 59.0))
    second = comparable_run.make(tmp_path / "second", requests=(190.0, 120.0, 90.0))
    row = compare_repeated(first, second).metrics[0]
    assert row.outcome == EQUAL
    assert row.noise is not None
    assert row.noise > row.first / 2


@pytest.mark.parametrize(("rate", "outcome"), [(423.0, CLOSE), (300.0, UNKNOWN)])
def test_one_trial_each_can_only_be_near_or_open(tmp_path: Path, rate: float, outcome: str) -> None:
    first = comparable_run.make(tmp_path / "first", requests=(421.0,))
    found = compare_repeated(first, comparable_run.make(tmp_path / "second", requests=(rate,)))
    assert outcomes(found)["requests/s"] == outcome
    assert found.outcome == outcome
    assert (found.conclusion.startswith("cannot say: ")) == (outcome == UNKNOWN)


def shifted(tmp_path: Path, count: int) -> RepeatComparison:
    """Two runs with six predictors, of which `count` are moderately worse in the second."""
    scores = {f"p{number}": [[0.90], [0.92], [0.91]] for number in range(6)}
    worse = {f"p{number}": [[0.875], [0.895], [0.885]] for number in range(count)}
    first = comparable_run.make(tmp_path / "first", scores=scores)
    return compare_repeated(first, comparable_run.make(tmp_path / "second", scores={**scores, **worse}))


def test_a_metric_beyond_its_own_noise_is_not_called_different_among_many(tmp_path: Path) -> None:
    found = shifted(tmp_path, 1)
    row = next(row for row in found.metrics if row.metric == "p0: contested accuracy")
    assert row.noise is not None
    assert abs(row.difference) > max(row.noise, row.margin)
    assert row.outcome == UNKNOWN
    assert (found.unclear, found.unclear_by_chance) == (3, 3)
    assert found.equal
    assert found.conclusion.endswith("23 within 1 %, 3 beyond that, as chance gives")


def test_more_such_metrics_than_chance_gives_are_not_called_equal(tmp_path: Path) -> None:
    found = shifted(tmp_path, 4)
    assert found.outcome == UNKNOWN
    assert not found.equal
    assert found.conclusion.startswith("cannot say: 12 of 26 metrics: p0: accuracy, ")


SAME = {f"p{number}": [[0.90], [0.92], [0.91]] for number in range(6)}


def test_recordings_that_differ_stand_out_among_many_equal_scores(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", requests=(415.0, 421.0, 427.0), scores=SAME)
    rates = tuple(rate * 0.92 for rate in (415.0, 421.0, 427.0))
    found = compare_repeated(
        first, comparable_run.make(tmp_path / "second", requests=rates, slice_factor=1 / 0.92, scores=SAME)
    )
    rates_found = [row for row in found.metrics if row.metric in ("requests/s", "switches/s")]
    assert [row.outcome for row in rates_found] == [DIFFERS, DIFFERS]
    assert all(row.p is not None and 0.002 < row.p < 0.004 for row in rates_found)
    assert found.conclusion == "differs: 2 of 26 metrics: requests/s, switches/s"


@pytest.mark.parametrize(("chances", "outcome"), [((0.03,), EQUAL), ((0.005,), UNKNOWN), ((0.03, 0.03), UNKNOWN)])
def test_chance_explains_one_open_metric_of_the_recordings_that_is_not_rare(
    chances: tuple[float, ...], outcome: str
) -> None:
    names = [f"metric {number}" for number in range(8)]
    rows = [
        MetricComparison("ab", name, False, "1/s", 100.0, 110.0, (3, 3), (1, 1), 10.0, 5.0, 1.0, p, 1.0)
        for name, p in zip(names, [*chances, *[0.5] * (8 - len(chances))], strict=True)
    ]
    assert RepeatComparison("first", "second", tuple(rows), {}, ()).outcome == outcome


def test_two_open_metrics_of_the_recordings_are_never_put_down_to_chance(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", requests=(415.0, 421.0, 427.0), scores=SAME)
    rates = tuple(rate * 0.96 for rate in (415.0, 421.0, 427.0))
    found = compare_repeated(
        first, comparable_run.make(tmp_path / "second", requests=rates, slice_factor=1 / 0.96, scores=SAME)
    )
    assert (found.outcome, found.unclear) == (UNKNOWN, 0)
    assert not found.equal
    assert found.conclusion == "cannot say: 2 of 26 metrics: requests/s, switches/s; record more trials"


def test_arms_and_predictors_of_one_run_only_are_listed(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", arms=("a", "b"), scores=LSTM)
    second = comparable_run.make(tmp_path / "second", arms=("b", "c"))
    found = compare_repeated(first, second)
    assert {row.arm for row in found.metrics} == {"b"}
    assert "b lstm: accuracy" in found.missing["first"]
    assert "c requests/s" in found.missing["second"]


def test_runs_without_a_shared_arm_are_refused(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", arms=("a",))
    with pytest.raises(UsageError, match="have no metric of any arm in common"):
        compare_repeated(first, comparable_run.make(tmp_path / "second", arms=("b",)))


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "first")
    with pytest.raises(UsageError, match="with itself"):
        compare_repeated(run, RunFolder.open(run.path))


def test_other_clocks_are_refused_unless_asked_for(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", machine=comparable_run.COUNTED)
    older = comparable_run.make(tmp_path / "older", machine={})  # an earlier version names no clock
    faster = comparable_run.make(tmp_path / "faster", machine={"clock": "counted", "cpu_speed": 250})
    for other in (older, faster):
        with pytest.raises(UsageError, match="the clock of one is counted: 125 instructions per microsecond"):
            compare_repeated(first, other)
    assert facts(compare_repeated(first, older, across_clocks=True))["clock"] == ("counted 125", "host")


def test_the_differing_facts_name_host_box_software_and_experiment(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", box={"provisioned": {"digest": "aa"}})
    second = comparable_run.make(
        tmp_path / "second",
        machine={**comparable_run.COUNTED, "hypervisor_version": "QEMU 8.1"},
        box={"digest": "b" * 64},
        experiment={"load": {"kind": "nginx_ab", "concurrency": 50}},
        host={"cpu": "Xeon"},
        versions={"harness": "0.3.0", "python": "3.13.1", "packages": {"torch": "2.14.0", "pyarrow": "24.0.0"}},
    )
    known = facts(compare_repeated(first, second))
    assert known["hypervisor version"] == ("QEMU 7.2", "QEMU 8.1")
    assert known["box digest"] == (comparable_run.DIGEST, "b" * 64)
    assert known["provisioned digest"] == ("aa", "-")
    assert known["experiment: load.concurrency"] == ("5", "50")
    assert known["host CPU"] == ("AMD EPYC 9B14", "Xeon")
    assert known["Python package torch"] == ("2.13.0", "2.14.0")
    assert not {"Python package pyarrow", "guest package nginx", "box"} & set(known)


def test_the_host_share_is_a_fact_of_both_runs(tmp_path: Path) -> None:
    runs = [comparable_run.make(tmp_path / name) for name in ("quiet", "busy")]
    for run, share in zip(runs, (0.004, 0.62), strict=True):
        for path in run.path.glob("trials/*/trial.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), "host": {"share": share}}))
    assert facts(compare_repeated(*runs))["host share"] == ("0.4 %", "62.0 %")


def test_an_unusable_trial_does_not_count(tmp_path: Path) -> None:
    first, second = (comparable_run.make(tmp_path / name) for name in ("first", "second"))
    manifest = json.loads((second.path / "manifest.json").read_text())
    manifest["steps"]["trial:001_nginx_ab"]["state"] = "failed"
    (second.path / "manifest.json").write_text(json.dumps(manifest))
    assert compare_repeated(first, RunFolder.open(second.path)).metrics[0].trials == (3, 2)


def test_a_run_without_a_usable_trial_says_so(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first")
    with pytest.raises(StoreError, match="none of its trials may be used"):
        compare_repeated(first, comparable_run.make(tmp_path / "second", steps={}))


@pytest.mark.parametrize("name", ["trial.json", "slices.parquet"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    first, second = (comparable_run.make(tmp_path / run) for run in ("first", "second"))
    path = second.path / "trials" / "001_nginx_ab" / name
    path.write_bytes(b"no")
    with pytest.raises(StoreError, match=name) as caught:
        compare_repeated(first, second)
    assert caught.value.where == str(path)


def test_a_file_that_is_not_the_one_the_run_wrote_is_refused(tmp_path: Path) -> None:
    first, second = (comparable_run.make(tmp_path / run) for run in ("first", "second"))
    path = second.path / "trials" / "001_nginx_ab" / "trial.json"
    second.finish("trial:001_nginx_ab", [path], 1.0, {"arm": "nginx_ab"})
    compare_repeated(first, second)
    path.write_text(path.read_text().replace("420.8", "421.8"))
    with pytest.raises(StoreError, match="not the file that the run wrote: changed"):
        compare_repeated(first, second)


def test_the_result_as_plain_values_is_json(tmp_path: Path) -> None:
    first = comparable_run.make(tmp_path / "first", scores=LSTM)
    found = compare_repeated(
        first, comparable_run.make(tmp_path / "second", requests=(421.0, 420.0, 422.0), scores=LSTM)
    )
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["outcome"] == found.outcome
    assert {row["outcome"] for row in stored["metrics"]} <= {EQUAL, CLOSE}
    assert stored["metrics"][0]["metric"] == "requests/s"


def told(run: RunFolder, cmdline: str, **scheduler: str) -> RunFolder:
    """Let the first trial of a run tell what its kernel had."""
    settings = {f"/sys/kernel/debug/sched/{name}": text for name, text in scheduler.items()}
    facts = {"kernel_cmdline": cmdline, "scheduler": settings}
    (run.trial_dir("000_nginx_ab") / "guest.json").write_text(json.dumps({"facts": facts}))
    return run


def test_kernels_that_had_other_settings_are_a_differing_fact_also_where_no_file_sets_them(tmp_path: Path) -> None:
    first = told(
        comparable_run.make(tmp_path / "a"), "quiet", base_slice_ns="700000\n", features="HRTICK NO_PLACE_LAG\n"
    )
    second = told(
        comparable_run.make(tmp_path / "b"), "quiet nohz=off", base_slice_ns="3000000\n", features="HRTICK PLACE_LAG\n"
    )
    known = facts(compare_repeated(first, second))
    assert known["guest /sys/kernel/debug/sched/base_slice_ns"] == ("700000", "3000000")
    assert known["guest feature PLACE_LAG"] == ("off", "on")
    assert known["guest kernel command line"] == ("quiet", "quiet nohz=off")
    assert "guest feature HRTICK" not in known


def test_another_sysctl_of_the_experiment_is_a_differing_fact(tmp_path: Path) -> None:
    machine = {"box": "debian-12", "sysctl": {"vm.swappiness": 3}, "sched": {"features": {"HRTICK": True}}}
    runs = comparable_run.make(tmp_path / "a"), comparable_run.make(tmp_path / "b", experiment={"machine": machine})
    known = facts(compare_repeated(*runs))
    assert known["experiment: machine.sysctl.vm.swappiness"] == ("-", "3")
    assert known["experiment: machine.sched.features.HRTICK"] == ("-", "True")
