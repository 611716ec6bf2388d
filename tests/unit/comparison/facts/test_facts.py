"""The facts of two sides: what the arm is, what follows from it, and what differs besides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import campaign_run
import comparable_run
import pytest
from command_line import harness
from guest_facts import FEATURES, KERNEL

from harness.comparison.facts.differing import Differences, differing, facts_of, require_equal
from harness.comparison.facts.fact_difference import FactDifference
from harness.comparison.facts.side_facts import SideFacts
from harness.errors import EXIT_FAILED, FactsDifferError
from harness.store import RunFolder

LEVELS = ("nginx_ab__concurrency-2", "nginx_ab__concurrency-8")
CONCURRENCY = {"sweep": {"load.concurrency": [2, 8]}}
MACHINE = {**comparable_run.MACHINE, **comparable_run.COUNTED}


@dataclass(frozen=True)
class Trial:
    """A trial of a side, as facts are asked for."""

    folder: Path
    arm: str


def campaign(path: Path, arms: tuple[str, ...] = LEVELS, **more: Any) -> RunFolder:
    """A run with three trials of each arm, all on one machine; every guest says the same of itself."""
    run = comparable_run.make(path, arms=arms, experiment=more.pop("experiment", CONCURRENCY), **more)
    for number, folder in enumerate(sorted(path.glob("trials/*"))):
        noise = {"loadavg": f"0.{number}", "memory_available_kb": 9000 + number, "hostname": f"guest{number}"}
        (folder / "guest.json").write_text(json.dumps({"boot_id": f"b{number}", "facts": {**KERNEL, **noise}}))
    return run


def side(run: RunFolder, arm: str) -> SideFacts:
    return facts_of([Trial(path, arm) for path in sorted(run.path.glob(f"trials/*_{arm}"))])


def of_arms(run: RunFolder, first: str = LEVELS[0], second: str = LEVELS[1]) -> Differences:
    return differing(side(run, first), side(run, second))


def values(rows: tuple[FactDifference, ...]) -> dict[str, tuple[str, str]]:
    return {row.name: (row.first, row.second) for row in rows}


def change(run: RunFolder, trials: str, **facts: Any) -> None:
    """Let the guests of some trials say something else of themselves."""
    paths = sorted(run.path.glob(f"trials/{trials}/guest.json"))
    assert paths
    for path in paths:
        known = json.loads(path.read_text())
        path.write_text(json.dumps({**known, "facts": {**known["facts"], **facts}}))


def tell(run: RunFolder, trials: str, **record: Any) -> None:
    """Add to trial.json of some trials."""
    for path in sorted(run.path.glob(f"trials/{trials}/trial.json")):
        path.write_text(json.dumps({**json.loads(path.read_text()), **record}))


def test_two_arms_of_one_machine_differ_in_nothing_but_the_swept_value(tmp_path: Path) -> None:
    found = of_arms(campaign(tmp_path / "run"))
    assert found.besides == ()
    assert values(found.arm) == {"experiment: load.concurrency": ("2", "8")}
    assert found.arm[0].group == "experiment"


def test_a_package_that_only_one_arm_has_in_another_version_is_a_difference_besides_the_arm(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    change(run, f"*_{LEVELS[1]}", packages={**KERNEL["packages"], "nginx": "1.24.0-1"})
    assert of_arms(run).besides == (FactDifference("guest package nginx", "1.22.1-9", "1.24.0-1", "packages"),)


def test_what_changes_in_the_middle_of_a_campaign_is_named_although_both_arms_have_it(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    old, new = ({**MACHINE, "hypervisor_version": name} for name in ("QEMU 7.2.22", "QEMU 7.2.23"))
    tell(run, "000_*", machine=old)
    tell(run, "001_*", machine=new)
    tell(run, "002_*", machine=new)
    (row,) = of_arms(run).besides
    both = "QEMU 7.2.22 (1 of 3 trials), QEMU 7.2.23 (2 of 3 trials)"
    assert row == FactDifference("hypervisor version", both, both, "machine", varies=True)


def test_a_version_of_harness_that_went_on_with_a_run_is_named(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    manifest = json.loads((run.path / "manifest.json").read_text())
    name = f"trial:002_{LEVELS[1]}"
    manifest["steps"][name]["versions"] = {**manifest["versions"], "commit": "f" * 40}
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    (row,) = of_arms(RunFolder.open(run.path)).besides
    assert (row.group, row.name, row.varies) == ("software", "commit", True)
    assert row.second.endswith(f"{'f' * 40} (1 of 3 trials)")
    assert row.shown[1].endswith(f" {'f' * 12} (1 of 3 trials)")


KERNELS = ("nginx_ab__box-debian-12", "nginx_ab__box-debian-13")


def two_boxes(path: Path) -> RunFolder:
    """A campaign whose arms are two boxes, with another kernel and other packages in each."""
    run = campaign(path, KERNELS, experiment={"sweep": {"machine.box": ["debian-12", "debian-13"]}})
    manifest = json.loads((path / "manifest.json").read_text())
    stage = manifest["arms"][KERNELS[1]]
    stage["box"] = {"name": "debian-13", "digest": "d" * 64}
    stage["machine"]["kernel"] = "6.12.95-cloud-amd64"
    (path / "manifest.json").write_text(json.dumps(manifest))
    config = {"sha256": "b" * 64, "options": {"CONFIG_HZ": "1000", "CONFIG_PREEMPT": "y"}}
    scheduler = {FEATURES: "NO_HRTICK PLACE_LAG"}
    changed = {"kernel_version": "#1 SMP Debian 6.12.95-1", "kernel_config": config, "scheduler": scheduler}
    change(run, f"*_{KERNELS[1]}", **changed, packages={"nginx": "1.26.3-3", "systemd": "257.8"})
    return RunFolder.open(path)


def test_all_that_another_box_brings_is_the_arm(tmp_path: Path) -> None:
    found = of_arms(two_boxes(tmp_path / "run"), *KERNELS)
    assert found.besides == ()
    known = values(found.arm)
    assert known["experiment: machine.box"] == ("debian-12", "debian-13")
    assert known["guest CONFIG_HZ"] == ("250", "1000")
    assert known["guest feature HRTICK"] == ("on", "off")
    assert known["guest feature PLACE_LAG"] == ("-", "on")
    assert "guest CONFIG_PREEMPT" not in known
    names = list(known)
    assert names.index("guest CONFIG_HZ") > names.index("guest feature PLACE_LAG"), "first what the scheduler does"
    assert {row.follows for row in found.arm} == {"", "machine.box"}


def test_what_another_box_cannot_explain_is_besides_the_arm(tmp_path: Path) -> None:
    run = two_boxes(tmp_path / "run")
    tell(run, f"*_{KERNELS[1]}", machine={**MACHINE, "hypervisor_version": "QEMU 10"})
    assert [row.name for row in of_arms(run, *KERNELS).besides] == ["hypervisor version"]


@pytest.mark.parametrize(
    ("setting", "values_of_arms", "changed"),
    [
        ("machine.sched.features", [{"HRTICK": True}, {"HRTICK": False}], {FEATURES: "NO_HRTICK"}),
        ("machine.sched.rr_timeslice_ms", [100, 5], {"/proc/sys/kernel/sched_rr_timeslice_ms": "5"}),
        ("machine.sysctl.kernel.sched_rr_timeslice_ms", [100, 5], {"/proc/sys/kernel/sched_rr_timeslice_ms": "5"}),
    ],
)  # fmt: skip
def test_a_setting_of_the_kernel_is_the_arm_where_the_guest_shows_it(
    setting: str, values_of_arms: list[Any], changed: Mapping[str, str], tmp_path: Path
) -> None:
    from harness import plan, spec

    sweep = {"sweep": {setting: values_of_arms}}
    names = tuple(arm.name for arm in plan.arms(spec.from_dict({**comparable_run.EXPERIMENT, **sweep})))
    run = campaign(tmp_path / "run", names, experiment=sweep)
    change(run, f"*_{names[1]}", scheduler={**KERNEL["scheduler"], **changed})
    found = of_arms(run, *names)
    assert found.besides == ()
    assert len(found.arm) == 2
    other = {**KERNEL["scheduler"], **changed, "/proc/sys/kernel/sched_rt_period_us": "1"}
    change(run, f"*_{names[1]}", scheduler=other)
    assert [row.name for row in of_arms(run, *names).besides] == ["guest /proc/sys/kernel/sched_rt_period_us"]


def test_words_that_are_new_at_every_boot_are_no_difference(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    for number, folder in enumerate(sorted(run.path.glob("trials/*"))):
        key = f"harness.key=AAAAC3Nz{number}"
        words = f"quiet {key} root=UUID=0f3e2d1c-0000-4000-8000-{number:012d} ip=52:54:00:00:00:{number:02x}"
        words += f" x={number:064x}"
        change(run, folder.name, kernel_cmdline=words)
    assert of_arms(run).besides == ()


def test_of_a_long_command_line_only_the_words_that_differ_are_shown(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    change(run, f"*_{LEVELS[1]}", kernel_cmdline="root=/dev/vda rw quiet nohz=off mitigations=off")
    (row,) = of_arms(run).besides
    assert row.first == "root=/dev/vda rw quiet"
    assert row.shown == ("-", "nohz=off mitigations=off")
    change(run, f"*_{LEVELS[0]}", kernel_cmdline="root=/dev/vda rw quiet splash")
    (row,) = of_arms(run).besides
    assert row.shown == ("splash", "nohz=off mitigations=off")


def test_facts_that_an_earlier_version_did_not_record_are_one_row_of_each_group(tmp_path: Path) -> None:
    old, new = campaign(tmp_path / "old"), campaign(tmp_path / "new")
    for path in old.path.glob("trials/*/guest.json"):
        known = json.loads(path.read_text())
        del known["facts"]["mitigations"], known["facts"]["kernel_config"]
        path.write_text(json.dumps(known))
    found = differing(side(old, LEVELS[0]), side(new, LEVELS[0]))
    lacking = "guest kernel configuration, guest kernel options, guest mitigations"
    assert found.besides == (FactDifference("facts of one side only", "not recorded", lacking, "guest kernel"),)


def test_a_trial_without_its_guest_json_has_the_facts_of_its_run(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    (run.path / "trials" / f"000_{LEVELS[0]}" / "guest.json").unlink()
    (run.path / "trials" / f"001_{LEVELS[1]}" / "guest.json").write_text("{")
    assert of_arms(run).besides == ()


def test_runs_of_one_arm_each_without_a_sweep_have_load_and_machine_for_their_arm(tmp_path: Path) -> None:
    runs = [
        campaign(
            tmp_path / f"run{count}", ("nginx_ab",), experiment={"load": {"kind": "nginx_ab", "concurrency": count}}
        )
        for count in (2, 8)
    ]
    change(runs[1], "*", clocksource="hpet")
    found = differing(*(side(run, "nginx_ab") for run in runs))
    assert values(found.arm) == {"experiment: load.concurrency": ("2", "8")}
    assert values(found.besides) == {"guest clocksource": ("tsc", "hpet")}


def test_runs_pooled_on_a_side_may_differ_in_their_number_of_trials_and_seed(tmp_path: Path) -> None:
    first = campaign(tmp_path / "first")
    other = {**CONCURRENCY, "trials": {"repeat": 9, "seed": 4}, "name": "other"}
    second = campaign(tmp_path / "second", experiment=other, host={"cpu": "Xeon"})
    trials = [
        [Trial(path, arm) for run in (first, second) for path in run.path.glob(f"trials/*_{arm}")] for arm in LEVELS
    ]
    found = differing(*map(facts_of, trials))
    assert values(found.arm) == {"experiment: load.concurrency": ("2", "8")}
    assert {row.group for row in found.besides} == {"host"}
    assert values(found.besides)["host CPU"][0] == "AMD EPYC 9B14 (3 of 6 trials), Xeon (3 of 6 trials)"


@pytest.mark.parametrize(("setting", "arms"), [("load.kind", ["nginx_ab", "redis"]), ("load.concurrency", [2, 8])])
def test_another_kind_of_load_brings_its_packages_and_another_value_of_one_load_does_not(
    setting: str, arms: list[Any], tmp_path: Path
) -> None:
    names = ("nginx_ab", "redis") if setting == "load.kind" else LEVELS
    run = campaign(tmp_path / "run", names, experiment={"sweep": {setting: arms}})
    change(run, f"*_{names[1]}", packages={**KERNEL["packages"], "redis-server": "7.0"})
    found = of_arms(run, *names)
    brought = FactDifference("guest package redis-server", "-", "7.0", "packages", setting)
    if setting == "load.kind":
        assert brought in found.arm
    else:
        assert [row.name for row in found.besides] == ["guest package redis-server"]


def test_arms_of_an_experiment_that_this_version_cannot_read_set_what_their_trials_say(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run", spec={"name": "later", "load": {"kind": "of_a_later_version", "concurrency": 2}})
    for arm, clients in zip(LEVELS, (2, 8), strict=True):
        tell(run, f"*_{arm}", settings={"load.concurrency": clients})
    found = of_arms(run)
    assert values(found.arm) == {"experiment: load.concurrency": ("2", "8")}
    assert found.besides == ()


def test_compare_lists_what_differs_besides_the_arm_and_refuses_it_on_request(tmp_path: Path) -> None:
    run = campaign_run.make(tmp_path / "run", {LEVELS[0]: [100.0, 101, 99], LEVELS[1]: [120.0, 121, 119]})
    command = ["compare", run.path, "--metric", "requests/s"]
    assert "no other fact differs" in harness(*command, "--require-equal").stdout
    tell(run, f"*_{LEVELS[1]}", machine={**comparable_run.COUNTED, "hypervisor_version": "QEMU 10.0"})
    assert "QEMU 10.0" in harness(*command).stdout
    refused = harness(*command, "--require-equal", code=EXIT_FAILED)
    assert "besides the arm, 1 fact of the two sides is not equal" in refused.stderr
    assert "hypervisor version: - | QEMU 10.0" in refused.stderr
    assert "requests/s" not in refused.stdout


def test_requiring_equal_facts_is_an_error_that_names_each_that_differs(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    require_equal(SimpleNamespace(facts=of_arms(run).besides))
    change(run, f"*_{LEVELS[1]}", clocksource="hpet", mitigations={"meltdown": "Vulnerable"})
    with pytest.raises(FactsDifferError) as caught:
        require_equal(SimpleNamespace(facts=of_arms(run).besides))
    assert caught.value.exit_code == EXIT_FAILED
    assert "2 facts" in str(caught.value)
    assert "guest clocksource: tsc | hpet" in str(caught.value)
    assert "guest mitigation meltdown: Mitigation: PTI | Vulnerable" in str(caught.value)
