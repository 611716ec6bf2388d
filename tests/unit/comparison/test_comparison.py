"""Two arms compared: block by block, and what may be said of them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import campaign_run
import comparable_run
import pytest
import written_before

from harness import spec
from harness.comparison import Comparison, compare, compare_all, observe
from harness.errors import StoreError, UsageError
from harness.store import RunFolder


def shifted(tmp_path: Path, blocks: int, by: float = 1.05) -> Comparison:
    """Two arms with the spread of 1 % between blocks, of which the second has `by` times the requests."""
    rates = [400.0 * math.exp(0.01 * math.sin(7 * block)) for block in range(blocks)]
    noise = [math.exp(0.002 * math.cos(11 * block)) for block in range(blocks)]
    arms = {"ab__concurrency-2": rates, "ab__concurrency-8": [r * by * n for r, n in zip(rates, noise, strict=True)]}
    return compare([campaign_run.make(tmp_path / "run", arms)])


def test_the_blocks_cancel_what_both_arms_share(tmp_path: Path) -> None:
    effect = shifted(tmp_path, 12).effect("requests/s")
    assert effect.interval is not None
    assert effect.interval.holds(0.05)
    assert effect.interval.width < 0.004  # the arms themselves spread by 1.4 %
    assert effect.outcome == "higher"
    assert [block.block for block in effect.blocks] == list(range(12))


def test_five_blocks_have_an_effect_and_its_range_but_no_p_value(tmp_path: Path) -> None:
    effect = shifted(tmp_path, 5).effect("requests/s")
    assert effect.value == pytest.approx(0.05, abs=0.003)
    assert effect.range == (min(b.value for b in effect.blocks), max(b.value for b in effect.blocks))
    assert (effect.interval, effect.p, effect.p_adjusted, effect.outcome) == (None, None, None, "too few")


def test_a_run_with_one_arm_cannot_be_compared(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"ab": [400.0] * 6})
    with pytest.raises(UsageError, match="there is one arm only, ab"):
        compare([run])


def test_one_run_given_twice_is_refused(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"a": [400.0] * 6, "b": [401.0] * 6})
    with pytest.raises(UsageError, match="given twice"):
        compare([run, run])


NULL = {
    "ab__concurrency-2": [400.0, 404.0, 398.0, 401.0, 405.0, 399.0, 402.0, 400.5, 403.0, 397.0, 401.5],
    "ab__concurrency-8": [440.0, 445.0, 437.0, 442.0, 444.0, 440.0, 441.0, 441.5, 443.0, 438.0, 440.5],
    "ab__concurrency-2__again": [401.0, 403.0, 399.0, 400.0, 406.0, 398.0, 402.5, 400.0, 403.5, 396.0, 402.0],
}


def test_the_first_arm_and_its_twin_are_compared_first_and_are_not_an_arm_of_their_own(tmp_path: Path) -> None:
    found = compare([campaign_run.make(tmp_path / "run", NULL)])
    assert found.null is not None
    assert (found.null.first.label, found.null.second.label) == ("concurrency 2", "concurrency 2, again")
    assert not any(effect.differs for effect in found.null.effects)
    assert (found.first.label, found.second.label) == ("concurrency 2", "concurrency 8")
    assert found.effect("requests/s").outcome == "higher"
    assert "concurrency 8 serves 10.00 % more requests/s [9.8" in found.sentence


def test_a_part_of_a_name_that_only_an_arm_and_its_twin_have_is_the_arm(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", NULL)
    assert compare([run], ("concurrency-2", "concurrency-8")).first.arm == "ab__concurrency-2"
    assert compare([run], ("again", "concurrency-8")).first.arm == "ab__concurrency-2__again"
    with pytest.raises(UsageError, match="'ab' is part of the name of 2 arms"):
        compare([run], ("ab", "concurrency-8"))


def test_equals_that_are_called_different_are_an_alarm_above_the_sentence(tmp_path: Path) -> None:
    warmer = {**NULL, "ab__concurrency-2__again": [1.02 * rate for rate in NULL["ab__concurrency-2__again"]]}
    found = compare([campaign_run.make(tmp_path / "run", warmer)], metrics=["requests/s", "idle share"])
    assert found.warnings == (
        "alarm: concurrency 2 against itself is called different in 1 of 2 metrics (requests/s), "
        "so doubt every difference here",
    )
    assert compare([campaign_run.make(tmp_path / "calm", NULL)]).warnings == ()


def test_the_margin_and_the_metric_that_the_experiment_names_are_those_of_the_comparison(tmp_path: Path) -> None:
    experiment = spec.from_dict({**comparable_run.EXPERIMENT, "compare": {"metric": "idle share", "margin": 0.08}})
    rates = [400.0 + block for block in range(12)]
    arms = {"a": rates, "b": [rate * 1.05 + block % 3 for block, rate in enumerate(rates)]}
    run = campaign_run.make(tmp_path / "run", arms, spec=spec.to_dict(experiment))
    found = compare([run])
    assert (found.primary, found.effect("requests/s").metric.margin) == ("idle share", 0.08)
    assert found.sentence.startswith("idle share of b and a is the same in every block")
    assert compare([run], margin=0.02).effect("requests/s").metric.margin == 0.02


def test_fewer_is_said_with_an_interval_of_how_many_fewer(tmp_path: Path) -> None:
    assert "b serves 9.091 % fewer requests/s [9.0" in shifted_down(tmp_path).sentence


def shifted_down(tmp_path: Path) -> Comparison:
    rates = [440.0 + block % 5 for block in range(12)]
    fewer = [rate / 1.1 + 0.1 * (block % 3 - 1) for block, rate in enumerate(rates)]
    return compare([campaign_run.make(tmp_path / "run", {"a": rates, "b": fewer})])


def test_a_few_boots_are_fixed_and_said_to_be_these(tmp_path: Path) -> None:
    rates = [400.0 + block for block in range(12)]
    arms = {"a": rates, "b": [rate * 1.02 + block % 3 for block, rate in enumerate(rates)]}
    design = compare([campaign_run.make(tmp_path / "run", arms, boots=[block // 4 for block in range(12)])]).design
    assert (design.unit, design.boots) == ("block", 3)
    assert design.notes[:2] == ("one host: how other hosts differ is not known", "3 boots: the result is about these")


def test_one_host_and_one_boot_are_said_to_be_one(tmp_path: Path) -> None:
    design = shifted(tmp_path, 8).design
    assert (design.hosts, design.boots, design.blocks, design.unit) == (1, 1, 8, "block")
    assert {"one host: how other hosts differ is not known"} < {*design.notes}
    assert any(note.startswith("one boot:") for note in design.notes)


def test_enough_boots_are_the_unit_and_not_their_blocks(tmp_path: Path) -> None:
    rates = [400.0 + block % 5 for block in range(14)]
    arms = {"a": rates, "b": [rate * (1.02 + 0.001 * (block // 2)) for block, rate in enumerate(rates)]}
    found = compare([campaign_run.make(tmp_path / "run", arms, boots=[block // 2 for block in range(14)])])
    effect = found.effect("requests/s")
    assert (found.design.unit, found.design.boots, effect.units, len(effect.blocks)) == ("boot", 7, 7, 14)


def test_runs_of_the_same_arms_are_pooled_and_their_hosts_counted(tmp_path: Path) -> None:
    runs = [
        campaign_run.make(
            tmp_path / f"run{host}", {"a": [400.0, 401.0], "b": [410.0 + host, 411.5]}, host=f"host{host}"
        )
        for host in range(6)
    ]
    found = compare(runs)
    assert (found.design.hosts, found.design.runs, found.design.unit) == (6, 6, "host")
    assert found.effect("requests/s").units == 6
    assert len(found.effect("requests/s").blocks) == 12
    assert "one host: how other hosts differ is not known" not in found.design.notes


def test_a_boot_that_died_after_one_block_leaves_the_others_comparable(tmp_path: Path) -> None:
    rates = [400.0 + block % 4 for block in range(10)]
    arms = {"a": rates, "b": [rate * 1.02 + block % 3 for block, rate in enumerate(rates)]}
    found = compare([campaign_run.make(tmp_path / "run", arms, boots=[0, *[1] * 9])], metrics=["requests/s"])
    effect = found.effect("requests/s")
    assert (found.design.unit, found.design.boots, effect.units, effect.outcome) == ("block", 2, 10, "higher")


def each_block_booted(path: Path, blocks: int = 8, **options: Any) -> RunFolder:
    """Two arms whose blocks have a boot each, but those that are `split`."""
    rates = [400.0 + block % 4 for block in range(blocks)]
    arms = {"a": rates, "b": [rate * 1.02 + block % 3 for block, rate in enumerate(rates)]}
    return campaign_run.make(path, arms, boots=range(blocks), **options)


def split_notes(found: Comparison) -> list[str]:
    return [note for note in found.design.notes if "split across" in note]


def test_a_block_that_an_interruption_split_across_two_boots_is_named_and_stays_one_unit(tmp_path: Path) -> None:
    found = compare([each_block_booted(tmp_path / "run", split=[3])])
    assert split_notes(found) == [
        "block 3 was split across two boots: its trials are not paired within one boot, so how boots differ is in its "
        "difference, and the boot is no level of it"
    ]
    effect = found.effect("requests/s")
    assert (found.design.unit, found.design.boots, effect.units, len(effect.blocks)) == ("boot", 9, 8, 8)


def test_several_split_blocks_are_named_with_their_runs_where_these_are_several(tmp_path: Path) -> None:
    first = each_block_booted(tmp_path / "first", split=[0, 2])
    (note,) = split_notes(compare([first]))
    assert note.startswith("blocks 0 and 2 were split across boots: their trials are not paired within one boot")
    (note,) = split_notes(compare([first, each_block_booted(tmp_path / "second", split=[5])]))
    assert note.startswith("blocks 0 of first, 2 of first and 5 of second were split across boots")


def test_arms_that_need_a_boot_each_have_no_split_blocks(tmp_path: Path) -> None:
    assert split_notes(compare([each_block_booted(tmp_path / "run", split=range(8))])) == []
    assert split_notes(compare([each_block_booted(tmp_path / "whole")])) == []


def test_two_hosts_are_fixed_and_their_blocks_are_the_units(tmp_path: Path) -> None:
    rates = [400.0, 401.0, 399.0, 402.0]
    runs = [
        campaign_run.make(tmp_path / f"run{host}", {"a": rates, "b": [r * by for r in rates]}, host=f"host{host}")
        for host, by in ((0, 1.01), (1, 1.03))
    ]
    found = compare(runs)
    assert (found.design.hosts, found.design.unit, found.effect("requests/s").units) == (2, "block", 8)
    assert "2 hosts: the result is about these" in found.design.notes
    assert [fact.name for fact in found.facts] == ["host"]
    assert (found.differing, found.warnings) == ((), ())  # each block has one host: it cannot be what differs


def test_a_block_that_lost_a_trial_is_left_out_and_said_so(tmp_path: Path) -> None:
    arms: dict[str, list[float | None]] = {"a": [400.0 + block for block in range(8)], "b": [410.0] * 8}
    arms["b"][3] = None
    found = compare([campaign_run.make(tmp_path / "run", arms, late=(5,))])
    assert [block.block for block in found.effect("requests/s").blocks] == [0, 1, 2, 4, 5, 6, 7]
    assert "left out: 1 trial whose block has no usable trial of the other side" in found.design.notes
    assert "completed later: 1 block, after a later block had begun" in found.design.notes
    assert [block.late for block in found.effect("requests/s").blocks].count(True) == 1


def test_blocks_without_any_spread_have_an_interval_without_width(tmp_path: Path) -> None:
    found = compare([campaign_run.make(tmp_path / "run", {"a": [400.0] * 8, "b": [400.0] * 8})])
    effect = found.effect("requests/s")
    assert effect.interval is not None
    assert (effect.interval.low, effect.interval.high, effect.p, effect.outcome) == (0.0, 0.0, 1.0, "no different")
    assert found.sentence.startswith("requests/s of b and a is the same in every block")


def latencies(tmp_path: Path, of_b: list[float | None]) -> Comparison:
    rows = {"a": [{"latency_p99_ms": 10.0 + block} for block in range(8)], "b": [{"latency_p99_ms": v} for v in of_b]}
    rates = [400.0 + block for block in range(8)]
    return compare([campaign_run.make(tmp_path / "run", {"a": rates, "b": rates}, metrics=rows)])


def test_a_metric_that_is_zero_has_no_ratio_and_is_left_out(tmp_path: Path) -> None:
    found = latencies(tmp_path, [0.0, *[11.0 + block for block in range(7)]])
    assert "p99 latency" not in {effect.metric.name for effect in found.effects}
    assert "p99 latency is left out: it is 0 in a trial, and a ratio has no sense" in found.design.notes


def test_a_metric_that_some_trials_lack_rests_on_the_other_blocks(tmp_path: Path) -> None:
    found = latencies(tmp_path, [None, None, *[12.0 + block for block in range(6)]])
    assert found.effect("p99 latency").units == 6
    assert "p99 latency: 6 of 8 blocks have it on both sides" in found.design.notes


def test_a_latency_that_is_rounded_is_never_the_same_within_less_than_its_last_digit(tmp_path: Path) -> None:
    found = latencies(tmp_path, [10.0 + block for block in range(8)])
    effect = found.effect("p99 latency")
    assert effect.range == (0.0, 0.0)
    assert effect.metric.margin == effect.within == pytest.approx(1 / effect.first)
    assert "p99 latency is rounded to 7.5 % of its value: its margin is no less" in found.design.notes


def test_trials_without_a_tracer_are_compared_by_their_load(tmp_path: Path) -> None:
    found = compare([campaign_run.make(tmp_path / "run", {"a": [400.0] * 6, "b": [404.0] * 6}, slices=False)])
    assert [effect.metric.name for effect in found.effects] == ["requests/s"]


def test_runs_of_one_arm_each_are_not_interleaved_and_get_no_p_value(tmp_path: Path) -> None:
    runs = [
        campaign_run.make(tmp_path / name, {name: [rate + k for k in range(8)]})
        for name, rate in (("x", 400.0), ("y", 420.0))
    ]
    found = compare(runs)
    effect = found.effect("requests/s")
    assert (found.design.interleaved, found.design.unit, effect.p, effect.outcome) == (False, "trial", None, "too few")
    assert effect.value == pytest.approx(0.0496, abs=1e-4)
    assert effect.range == pytest.approx((420 / 407 - 1, 427 / 400 - 1))
    assert found.sentence.endswith("not recorded side by side, so it may be the hour and not the arm")


def test_a_run_and_its_repetition_of_one_arm_are_told_by_their_names(tmp_path: Path) -> None:
    runs = [campaign_run.make(tmp_path / name, {"ab": [400.0] * 3}) for name in ("monday", "tuesday")]
    found = compare(runs)
    assert (found.first.label, found.second.label) == ("monday", "tuesday")
    assert compare(runs, ("tuesday:ab", "monday:ab")).first.label == "tuesday"


def test_sides_whose_settings_are_long_are_told_by_what_their_arms_do_not_share(tmp_path: Path) -> None:
    own, other = "ab__kernel-own__cpus-1", "ab__kernel-bookworm-backports-cloud-amd64__cpus-1"
    run = campaign_run.make(tmp_path / "run", {own: [400.0] * 6, f"{own}__again": [400.0] * 6, other: [420.0] * 6})
    found = compare([run])
    assert (found.first.label, found.second.label) == ("kernel-own", "kernel-bookworm-backports-cloud-amd64")
    twins = compare([run], (own, f"{own}__again"))
    assert (twins.first.label, twins.second.label) == (own, f"{own}__again")


def test_more_than_two_arms_are_compared_with_the_first_and_adjusted_together(tmp_path: Path) -> None:
    arms = {
        f"ab__concurrency-{n}": [400.0 + n + block % 3 + 0.1 * (block * n % 7) for block in range(12)]
        for n in (2, 4, 8)
    }
    run = campaign_run.make(tmp_path / "run", arms)
    found = compare_all([run])
    assert [(each.first.label, each.second.label) for each in found] == [
        ("concurrency 2", "concurrency 4"),
        ("concurrency 2", "concurrency 8"),
    ]
    alone = compare([run], ("concurrency-2", "concurrency-8"), metrics=["requests/s"]).effect("requests/s")
    together = found[1].effect("requests/s")
    assert alone.p == together.p == alone.p_adjusted
    assert together.p_adjusted is not None
    assert alone.p is not None
    assert together.p_adjusted > alone.p
    with pytest.raises(UsageError, match="more than two arms"):
        compare([run])


def test_arms_of_experiments_that_sweep_different_settings_are_told_by_their_names(tmp_path: Path) -> None:
    rates = [400.0 + block for block in range(8)]
    runs = [
        campaign_run.make(tmp_path / "swept", {"ab__concurrency-2": rates, "ab__concurrency-8": rates}),
        campaign_run.make(tmp_path / "plain", {"ab__kernel-own": rates, "ab__kernel-new": rates}),
    ]
    found = compare(runs, ("concurrency-8", "kernel-own"))
    assert (found.first.label, found.second.label) == ("concurrency-8", "kernel-own")


def test_equals_are_those_of_the_runs_of_the_first_side(tmp_path: Path) -> None:
    rates = [400.0 + block for block in range(8)]
    runs = [
        campaign_run.make(tmp_path / f"run{by}", {"a": rates, "b": rates, "a__again": [by * r for r in rates]})
        for by in (1.0, 1.1)
    ]
    found = compare(runs, ("run1.0:a", "run1.1:a"), metrics=["requests/s"])
    assert found.null
    assert found.null.first.runs == ("run1.0",)
    assert found.null.effect("requests/s").value == 0.0


@pytest.mark.parametrize("arms", [(), ("a",), ("a", "b", "c"), "ab", {"a", "b"}, (2, 8)])
def test_arms_that_are_no_pair_of_names_are_refused(tmp_path: Path, arms: Any) -> None:
    run = campaign_run.make(tmp_path / "run", {"a": [400.0, 401.0], "b": [402.0, 403.0]})
    with pytest.raises(UsageError, match="is no pair of arms"):
        compare([run], arms)


@pytest.mark.parametrize("metrics", [[], [""], [3], 3])
def test_metrics_that_are_no_names_are_refused(tmp_path: Path, metrics: Any) -> None:
    run = campaign_run.make(tmp_path / "run", {"a": [400.0, 401.0], "b": [402.0, 403.0]})
    with pytest.raises(UsageError, match="is no list of metrics"):
        compare([run], metrics=metrics)


def test_an_unknown_arm_or_metric_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"ab__concurrency-2": [400.0] * 6, "ab__concurrency-8": [400.0] * 6})
    with pytest.raises(UsageError, match="no arm 'ab__concurency-8'") as caught:
        compare([run], ("concurrency-2", "ab__concurency-8"))
    assert caught.value.hint == "did you mean ab__concurrency-8?"
    with pytest.raises(UsageError, match="part of the name of 2 arms"):
        compare([run], ("ab", "concurrency-8"))
    with pytest.raises(UsageError, match="compared with itself"):
        compare([run], ("concurrency-8", "concurrency-8"))
    with pytest.raises(UsageError, match="no metric 'requets/s'") as caught:
        compare([run], metrics=["requets/s"])
    assert caught.value.hint is not None


def test_sides_of_two_clocks_are_refused_unless_asked_for(tmp_path: Path) -> None:
    arms = {"a": [400.0] * 6, "b": [404.0] * 6}
    run = campaign_run.make(tmp_path / "run", arms, machine={"b": {"cpu_speed": 250}})
    with pytest.raises(UsageError, match="the clock of one trial is counted: 125"):
        compare([run])
    assert compare([run], across_clocks=True).effect("requests/s").value == pytest.approx(0.01)


def test_an_edited_trial_is_refused(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"a": [400.0] * 6, "b": [404.0] * 6})
    path = run.path / "trials" / "000_a" / "trial.json"
    run.finish("trial:000_a", [path], 1.0, {"arm": "a"})
    path.write_text(path.read_text().replace("400.0", "500.0"))
    with pytest.raises(StoreError, match=r"trial\.json is not the file that the run wrote"):
        compare([run])


def test_a_trial_of_an_earlier_version_takes_block_boot_and_host_from_what_it_has(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {"a": [400.0] * 6, "b": [404.0] * 6})
    for folder in run.path.glob("trials/*"):
        trial = json.loads((folder / "trial.json").read_text())
        new = ("block", "boot_id", "host_id", "recorded_at", "late", "settings")
        old = {key: value for key, value in trial.items() if key not in new} | {"repetition": trial["block"]}
        (folder / "trial.json").write_text(json.dumps(old))
        (folder / "guest.json").write_text(json.dumps({"boot_id": "once", "facts": {}}))
    one = observe(RunFolder.open(run.path))[3]
    assert (one.block, one.boot, one.host, one.late) == (1, "once", "AMD EPYC 9B14 2", False)
    assert one.recorded_at == "2026-11-30T10:04:00.000Z"
    assert len(compare([RunFolder.open(run.path)]).effect("requests/s").blocks) == 6


def test_scores_are_means_over_seeds_and_the_sentence_names_the_best_predictor(tmp_path: Path) -> None:
    hits = [0.80 + 0.001 * block for block in range(12)]
    scores = {arm: {"markov": hits, "slice_markov": [h + 0.1 for h in hits]} for arm in ("a", "b")}
    rates = [400.0 + block for block in range(12)]
    found = compare([campaign_run.make(tmp_path / "run", {"a": rates, "b": [r * 1.1 for r in rates]}, scores)])
    assert found.effect("markov: contested accuracy").outcome == "no different"
    assert (
        "predictability (slice_markov, contested accuracy) does not differ by more than 0.000 points" in found.sentence
    )


def test_plain_values_are_json_and_a_frame_has_a_row_for_each_metric(tmp_path: Path) -> None:
    found = shifted(tmp_path, 7)
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["effects"][0]["blocks"][0]["block"] == 0
    assert list(found.frame().index) == [effect.metric.name for effect in found.effects]
    assert stored["design"]["notes"][-1].startswith("7 blocks are too few to call any of ")


def test_runs_of_version_0_1_0_can_be_compared(tmp_path: Path) -> None:
    first = written_before.unpack(tmp_path) / written_before.RUN
    shutil.copytree(first, tmp_path / "copy")
    found = compare([RunFolder.open(first), RunFolder.open(tmp_path / "copy")])
    assert (found.design.interleaved, found.design.hosts) == (False, 1)
    assert {"requests/s", "wakeup latency p99", "markov: contested accuracy"} <= {e.metric.name for e in found.effects}
    assert {effect.outcome for effect in found.effects} == {"too few"}
