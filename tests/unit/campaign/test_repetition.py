"""What a repetition carries out, on which box, and when it refuses to start."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import comparable_run
import pytest

from harness import boxes, files
from harness.boxes import cache
from harness.campaign import repetition
from harness.campaign.repetition import Changes, experiment_of
from harness.errors import BoxError, SpecError, StoreError, UsageError
from harness.recorded_clock import RecordedClock
from harness.store import RunFolder
from harness.terminal.progress import QuietView

NOTHING = Changes({})


@pytest.fixture
def box() -> dict[str, str]:
    """The box of debian-12 as this version would build it."""
    return {"name": "debian-12", "digest": cache.current_digest(boxes.recipe("debian-12"))}


def test_a_repetition_keeps_the_experiment_and_pins_what_the_run_found_out(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run")
    experiment = experiment_of(run, NOTHING)
    machine = experiment.machine
    assert (machine.clock, machine.cpu_speed, machine.accelerator) == ("counted", 125, "tcg")
    assert experiment.model_copy(update={"machine": None}) == run.experiment.model_copy(update={"machine": None})
    assert experiment.text == run.experiment.text


def test_a_repetition_has_the_kernel_settings_of_the_run_and_one_can_be_changed(tmp_path: Path) -> None:
    settings = {"cmdline": ["nohz=off"], "sysctl": {"vm.swappiness": 7}, "sched": {"features": {"HRTICK": True}}}
    run = comparable_run.make(tmp_path / "run", experiment={"machine": {"box": "debian-12", **settings}})
    assert experiment_of(run, NOTHING).machine.kernel_words == ["nohz=off", "vm.swappiness=7", "HRTICK"]
    other = experiment_of(run, Changes({"machine.sysctl.vm.swappiness": "8"}))
    assert other.machine.kernel_words == ["nohz=off", "vm.swappiness=8", "HRTICK"]


def test_a_run_of_an_earlier_version_is_repeated_on_the_host_s_clock(tmp_path: Path) -> None:
    experiment = experiment_of(comparable_run.make(tmp_path / "run", machine={}), NOTHING)
    assert (experiment.machine.clock, experiment.machine.cpu_speed) == ("host", None)


def test_a_run_with_kvm_is_repeated_with_whatever_works_here(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run", machine={"accelerator": "kvm", "clock": "host"})
    assert experiment_of(run, NOTHING).machine.accelerator == "auto"


def test_a_run_on_the_fallback_is_repeated_on_the_fallback_alone(tmp_path: Path) -> None:
    machine = {"box": "ubuntu-18.04", "fallback": "debian-12"}
    used = {"asked": "ubuntu-18.04", "fallback_reason": "its archive was out of reach"}
    run = comparable_run.make(tmp_path / "run", box=used, experiment={"machine": machine})
    experiment = experiment_of(run, NOTHING)
    assert (experiment.machine.box, experiment.machine.fallback) == ("debian-12", None)


def test_swept_values_are_not_pinned(tmp_path: Path) -> None:
    swept = {"sweep": {"machine.clock": ["host", "counted"]}}
    run = comparable_run.make(
        tmp_path / "run", arms=("nginx_ab__clock-host", "nginx_ab__clock-counted"), experiment=swept
    )
    assert experiment_of(run, NOTHING).machine.clock is None


def test_changes_win_over_what_was_pinned(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run")
    changes = Changes({"machine.clock": "host", "trials.repeat": "5"}, box="debian-13")
    experiment = experiment_of(run, changes)
    assert (experiment.machine.clock, experiment.machine.box, experiment.trials.repeat) == ("host", "debian-13", 5)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (Changes({"load.concurency": "5"}), SpecError, "concurency"),
        (Changes({"machine.accelerator": "[kvm"}), SpecError, "--set machine.accelerator=[kvm: YAML syntax error"),
        (Changes({"machine.clock": "moon"}), SpecError, "--set machine.clock=moon: machine.clock is 'moon'"),
        (Changes({}, load="idle"), UsageError, "at least one of the run's arms to compare: nginx_ab"),
        (Changes({"sweep": "{load.concurrency: [1, 2]}"}), UsageError, "the arms are nginx_ab__concurrency-1"),
    ],
)
def test_a_change_that_cannot_be_carried_out_or_compared_is_refused(
    tmp_path: Path, changes: Changes, error: type[Exception], words: str
) -> None:
    run = comparable_run.make(tmp_path / "run")
    with pytest.raises(error, match=re.escape(words)):
        experiment_of(run, changes)


@pytest.mark.parametrize(
    ("state", "words"), [("failed", "this run is failed, with 3 usable trials"), ("interrupted", "is interrupted")]
)
def test_a_run_that_is_not_done_is_refused_with_the_way_to_finish_it(tmp_path: Path, state: str, words: str) -> None:
    run = comparable_run.make(tmp_path / "run", state=state)
    with pytest.raises(StoreError, match=words) as caught:
        experiment_of(run, NOTHING)
    assert caught.value.hint == f"harness run --resume {run.path}"


def test_a_run_whose_experiment_this_version_cannot_read_names_the_version_that_can(tmp_path: Path) -> None:
    spec: dict[str, Any] = {**comparable_run.make(tmp_path / "made").manifest["spec"], "moon": "full"}
    run = comparable_run.make(tmp_path / "run", spec=spec)
    with pytest.raises(StoreError, match="cannot carry out its experiment") as caught:
        experiment_of(run, NOTHING)
    assert caught.value.hint == "repeat it with harness 0.1.0"


def test_the_same_box_passes_and_another_one_is_named_with_both_digests(tmp_path: Path, box: dict[str, str]) -> None:
    same = comparable_run.make(tmp_path / "same", box=box)
    repetition.require_same_box(same, experiment_of(same, NOTHING))
    other = comparable_run.make(tmp_path / "other")
    with pytest.raises(BoxError) as caught:
        repetition.require_same_box(other, experiment_of(other, NOTHING))
    assert box["digest"] in str(caught.value)
    assert comparable_run.DIGEST in str(caught.value)
    assert "harness box export" in str(caught.value)
    assert "--any-box" in str(caught.value)


def test_another_recipe_is_another_box(tmp_path: Path, box: dict[str, str]) -> None:
    run = comparable_run.make(tmp_path / "run", box=box)
    (row,) = repetition.box_differences(run, experiment_of(run, Changes({}, box="debian-13")))
    assert (row.name_there, row.name_here) == ("debian-12", "debian-13")


def test_a_ready_made_box_is_known_by_its_name_alone(tmp_path: Path) -> None:
    machine = {"machine": {"box": "bento/ubuntu-18.04"}}
    used = {"name": "bento/ubuntu-18.04", "digest": None}
    run = comparable_run.make(tmp_path / "run", box=used, experiment=machine)
    assert repetition.box_differences(run, experiment_of(run, NOTHING)) == []


HOSTS = {"accelerator": "tcg", "clock": "host", "cpu_speed": None}
OTHER_CLOCKS = [
    (comparable_run.COUNTED, {"machine.clock": "host"}, "the host's"),
    (comparable_run.COUNTED, {"machine.cpu_speed": "500"}, "counted: 500"),
    (comparable_run.COUNTED, {"machine.accelerator": "kvm"}, "the host's"),
    (comparable_run.COUNTED, {"machine.cpus": "2"}, "the host's"),
    (comparable_run.COUNTED, {"machine.hypervisor": "virtualbox"}, "the host's"),
    (HOSTS, {"machine.clock": "counted"}, "counted: 125"),
    (HOSTS, {"machine.cpu_speed": "250"}, "counted: 250"),
]


@pytest.mark.parametrize(("machine", "settings", "words"), OTHER_CLOCKS)
def test_another_clock_is_refused_before_anything_starts_and_names_the_setting(
    tmp_path: Path, machine: dict[str, Any], settings: dict[str, str], words: str
) -> None:
    run = comparable_run.make(tmp_path / "run", machine=machine)
    changes = Changes(settings)
    (path, value), *_ = settings.items()
    with pytest.raises(UsageError, match=re.escape(f"with --set {path}={value}, it would be {words}")) as caught:
        repetition.require_same_clock(run, experiment_of(run, changes), changes)
    assert f"the clock of the run is {RecordedClock.of(machine).text}" in caught.value.what
    assert "--across-clocks" in str(caught.value.hint)
    repetition.require_same_clock(run, experiment_of(run, NOTHING), NOTHING)


@pytest.mark.parametrize("settings", [{"machine.clock": "counted"}, {"machine.cpu_speed": "500"}])
def test_the_clock_that_the_run_had_may_be_set(tmp_path: Path, settings: dict[str, str]) -> None:
    run = comparable_run.make(tmp_path / "run", machine={"clock": "counted", "cpu_speed": 500})
    machine = experiment_of(run, Changes(settings)).machine
    assert (machine.clock, machine.cpu_speed) == ("counted", 500)


def test_another_accelerator_on_the_same_clock_is_no_other_clock(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run", machine=HOSTS)
    changes = Changes({"machine.accelerator": "kvm"})
    repetition.require_same_clock(run, experiment_of(run, changes), changes)


def test_a_run_without_a_usable_trial_is_not_repeated(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run", steps={})
    with pytest.raises(StoreError, match="this run is done, with 0 usable trials"):
        experiment_of(run, NOTHING)


def test_a_run_on_a_box_that_has_no_recipe_here_says_what_to_do(tmp_path: Path) -> None:
    used = {"name": "gentoo"}
    run = comparable_run.make(tmp_path / "run", box=used, experiment={"machine": {"box": "gentoo"}})
    with pytest.raises(BoxError, match="the box 'gentoo', which has no recipe here") as caught:
        repetition.require_same_box(run, experiment_of(run, NOTHING))
    assert "copy its recipe" in str(caught.value.hint)


def test_the_new_run_says_which_run_it_repeats_and_holds_the_comparison(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run")
    folder = repetition.create(tmp_path / "runs", run, experiment_of(run, NOTHING), ["harness", "repeat", "run"])
    repeats = folder.manifest["repeats"]
    assert repeats == {
        "run": "run",
        "path": str(run.path),
        "manifest_sha256": files.sha256(run.path / "manifest.json"),
    }
    recorded = comparable_run.make(tmp_path / "recorded", repeats=repeats)
    result = repetition.compare_and_store(
        run, recorded, QuietView((tmp_path / "screen").open("w")), across_clocks=False
    )
    stored = json.loads((recorded.path / "repeat.json").read_text())
    assert stored["outcome"] == result.outcome == "equal"
    assert "repeat.json" in recorded.manifest["steps"]["repeat"]["outputs"]
    assert RunFolder.open(recorded.path).verify() == []
