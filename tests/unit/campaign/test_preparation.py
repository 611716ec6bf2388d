"""A machine is provisioned once and kept; what a run says about it; and that no run is lost because it is not kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxes_on_disk import forge_with_kernel
from fakes import GOOD, World

from harness import spec
from harness.boxes import kernel
from harness.campaign.loop import Campaign
from harness.errors import (
    BoxError,
    DamagedBoxError,
    HostError,
    Interrupted,
    MachineError,
    ProvisionError,
    RemoteError,
    StoreError,
    TrialError,
)
from harness.loads import NginxAb
from harness.spec.kernels import SuiteKernel
from harness.store import RunFolder
from harness.terminal.progress import PlainView

ROLES = ("perf", *NginxAb.roles)
Start = Callable[..., Any]
PROVISION = f"provision {' '.join(ROLES)}"
MADE_AND_KEPT = ["box debian-12", "up debian-12", PROVISION, "keep", "down debian-12", "up debian-12 kept"]
OF_ITS_OWN = ["up debian-12", PROVISION]
TRIALS = ["trial 000_nginx_ab attempt 1", "trial 001_nginx_ab attempt 1", "down debian-12"]


SWEPT = "machine: {box: debian-12}\nsweep:\n  machine.kernel: [null, KERNEL]\n"


@pytest.fixture(autouse=True)
def cache(world: World, tmp_path: Path) -> None:
    world.cache = tmp_path / "boxes"


def test_the_first_run_provisions_a_machine_keeps_it_and_records_on_what_was_kept(start: Start, world: World) -> None:
    campaign, folder = start()
    assert campaign.run().ok
    assert world.log == [*MADE_AND_KEPT, *TRIALS]
    assert world.up == set()
    assert folder.manifest["steps"]["keep:debian-12"]["state"] == "done"


def test_a_later_run_provisions_nothing(start: Start, world: World) -> None:
    start()[0].run()
    world.log.clear()
    campaign, _ = start()
    assert campaign.run().ok
    assert world.log == ["box debian-12", "up debian-12 kept", *TRIALS]


def test_the_manifests_of_the_first_and_of_a_later_run_hold_the_same_box_and_packages(
    start: Start, world: World
) -> None:
    runs = []
    for _ in range(2):
        campaign, folder = start()
        campaign.run()
        runs.append(folder.manifest)
    first, later = runs
    assert first["box"] == later["box"]
    kept = later["box"]["provisioned"]
    assert (kept["roles"], kept["packages"]) == (list(ROLES), {"nginx": "1.22"})
    assert kept["digest"] in world.kept
    assert first["arms"] == later["arms"]
    details = [run["steps"]["provision"]["detail"] for run in runs]
    assert {key: details[1][key] for key in details[0]} == details[0]
    assert details[1]["reused"] == kept["made"]


def test_a_later_run_says_which_machine_it_uses_and_since_when_it_is_kept(
    start: Start, world: World, tmp_path: Path
) -> None:
    start()[0].run()
    for kept in world.kept.values():
        world.kept[kept.digest] = replace(kept, provisioning=replace(kept.provisioning, made="2026-11-22T10:15:03Z"))
    start()[0].run()
    assert "Use the machine provisioned on 2026-11-22: nginx 1.22" in (tmp_path / "screen.txt").read_text()


def test_a_load_with_other_roles_gets_a_machine_of_its_own(start: Start, world: World) -> None:
    start()[0].run()
    world.log.clear()
    start(load={"kind": "idle"})[0].run()
    assert "provision perf" in world.log
    assert len(world.kept) == 2


def test_the_memory_of_a_machine_does_not_matter(start: Start, world: World) -> None:
    start()[0].run()
    world.log.clear()
    start(machine={"box": "debian-12", "memory_mb": 2048})[0].run()
    assert PROVISION not in world.log


def test_a_resumed_run_uses_the_machine_that_it_kept_although_trials_with_some_roles_are_done(
    start: Start, world: World
) -> None:
    world.outcomes = [GOOD, TrialError("gone"), TrialError("gone")]
    trials = {"repeat": 1, "order": "listed", "attempts": 2}
    campaign, folder = start(sweep={"load.kind": ["nginx_ab", "idle"]}, trials=trials)
    with pytest.raises(TrialError):
        campaign.run()
    world.log.clear()
    assert start(folder=folder)[0].run().ok
    assert not [line for line in world.log if line.startswith("provision")]


def test_provision_anew_makes_the_machine_once_more_but_once_only(start: Start, world: World) -> None:
    start()[0].run()
    world.log.clear()
    sweep, trials = {"machine.memory_mb": [512, 2048]}, {"repeat": 1, "order": "listed"}
    assert start(provision_anew=True, sweep=sweep, trials=trials)[0].run().ok
    assert world.log.count(PROVISION) == 1
    assert world.log.count("up debian-12 kept") == 2
    assert world.log.index("discard older") > world.log.index("up debian-12 kept")


@pytest.mark.parametrize(
    ("step", "error", "made"),
    [
        ("space", HostError("there is not enough space"), []),
        ("keep", HostError("the disk is full"), ["up debian-12", PROVISION, "keep", "down debian-12"]),
        ("keep", RemoteError("connection reset"), ["up debian-12", PROVISION, "keep", "down debian-12"]),
        ("up", MachineError("it did not boot"), [*MADE_AND_KEPT[1:], "down debian-12", "discard"]),
    ],
)
def test_a_machine_that_cannot_be_kept_is_a_warning_and_the_run_goes_on_with_one_of_its_own(
    start: Start, world: World, tmp_path: Path, step: str, error: HostError, made: list[str]
) -> None:
    world.keeping[step] = error
    campaign, folder = start()
    assert campaign.run().ok
    assert world.log == ["box debian-12", *made, *OF_ITS_OWN, *TRIALS]
    assert world.kept == {}
    assert "provisioned" not in folder.manifest["box"]
    assert folder.manifest["arms"]["nginx_ab"]["packages"] == {"nginx": "1.22"}
    assert f"cannot be kept for later runs: {error.what}" in (tmp_path / "screen.txt").read_text()


def test_a_kept_machine_that_does_not_come_up_in_a_later_run_says_how_it_is_made_anew(
    start: Start, world: World
) -> None:
    start()[0].run()
    world.keeping["up"] = MachineError("it did not boot", hint="see console.log")
    with pytest.raises(MachineError) as caught:
        start()[0].run()
    assert caught.value.hint == "see console.log; `harness run --provision` makes the machine anew"
    assert world.up == set()


@pytest.mark.parametrize("step", ["keep", "up"])
def test_an_interrupt_while_the_machine_is_kept_leaves_no_machine_up(start: Start, world: World, step: str) -> None:
    world.keeping[step] = Interrupted("stopped by SIGINT")
    campaign, folder = start()
    with pytest.raises(Interrupted):
        campaign.run()
    assert (world.up, folder.state) == (set(), "interrupted")
    world.keeping.clear()
    assert start(folder=folder)[0].run().ok


def test_a_machine_whose_box_cannot_be_written_to_the_manifest_is_not_left_up(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: RunFolder, **changes: Any) -> None:
        if "provisioned" in (changes.get("box") or {}):
            raise StoreError("the manifest is damaged")
        update(folder, **changes)

    update = RunFolder.update
    monkeypatch.setattr(RunFolder, "update", full)
    with pytest.raises(StoreError):
        start()[0].run()
    assert world.log[-1] == "down debian-12"
    assert world.up == set()


def test_packages_that_cannot_be_installed_end_the_run_at_once(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(world: World, *_: Any) -> None:
        world.log.append("provision")
        raise ProvisionError("no-such-package")

    monkeypatch.setattr(World, "_provision", fail)
    with pytest.raises(ProvisionError):
        start()[0].run()
    assert world.log == ["box debian-12", "up debian-12", "provision", "down debian-12"]


def test_a_damaged_machine_in_the_cache_ends_the_run_before_anything_starts_even_with_a_fallback(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> None:
        raise DamagedBoxError("box.img has changed")

    campaign, _ = start(machine={"box": "debian-12", "fallback": "debian-11"})
    recorder_effects = replace(world.effects(), find_provisioned=damaged)
    campaign._effects = recorder_effects
    with pytest.raises(DamagedBoxError):
        campaign.run()
    assert world.log == ["box debian-12"]


def test_a_fallback_is_provisioned_and_kept_too(start: Start, world: World) -> None:
    world.boxes["ubuntu-18.04"] = BoxError("the keyring is missing")
    campaign, folder = start(machine={"box": "ubuntu-18.04", "fallback": "debian-12"})
    assert campaign.run().ok
    assert "up debian-12 kept" in world.log
    assert folder.manifest["box"]["fallback_reason"]


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"box": "bento/debian-12"}, "bento/debian-12 is a ready-made box"),
        ({"box": "debian-12", "hypervisor": "virtualbox"}, "not those of VirtualBox"),
    ],
)
def test_machines_that_cannot_be_kept_are_provisioned_in_every_run_and_the_run_says_why(
    start: Start, world: World, tmp_path: Path, machine: dict[str, str], reason: str
) -> None:
    for _ in range(2):
        assert start(machine=machine)[0].run().ok
    assert world.log.count(PROVISION) == 2
    assert world.kept == {}
    assert reason in (tmp_path / "screen.txt").read_text()


def test_an_engine_that_does_not_answer_ends_the_run_before_a_box_is_built_or_a_fallback_tried(
    start: Start, world: World, tmp_path: Path
) -> None:
    world.keeping["engine"] = HostError("libvirtd does not answer: refused", where="qemu:///system")
    campaign, folder = start(machine={"box": "debian-12", "fallback": "debian-11"})
    with pytest.raises(HostError, match="libvirtd does not answer: refused"):
        campaign.run()
    assert world.log == []
    assert (folder.state, "fallback" in (tmp_path / "screen.txt").read_text()) == ("failed", False)
    assert "libvirtd does not answer" in folder.manifest["error"]
    world.keeping.clear()
    campaign, folder = start(folder)
    assert campaign.run().ok


def test_an_engine_that_answered_is_not_asked_again_for_the_next_boot(start: Start, world: World) -> None:
    campaign, _ = start(trials={"repeat": 3, "reboot": "every block"})
    assert campaign.run().ok
    assert (world.asked, sum(entry.startswith("box ") for entry in world.log)) == (["libvirt"], 3)


@pytest.mark.parametrize(("text", "where"), [("machine: {box: debian-12, kernel: KERNEL}\n", "2:35"), (SWEPT, "4:26")])
def test_a_kernel_that_no_box_can_be_built_with_is_said_with_its_line(
    world: World, tmp_path: Path, text: str, where: str
) -> None:
    form = SuiteKernel(suite="nosuch", package="linux-image-amd64")
    world.refused_kernels[form] = kernel.read(form).error("the archive has no suite nosuch")
    text = text.replace("KERNEL", "{suite: nosuch, package: linux-image-amd64}")
    (tmp_path / "e.yaml").write_text(f"name: e\n{text}load: {{kind: idle}}\n")
    experiment = spec.load(tmp_path / "e.yaml")
    folder = RunFolder.create(tmp_path / "runs", experiment, [])
    with pytest.raises(BoxError, match="the archive has no suite nosuch") as caught:
        Campaign(experiment, folder, PlainView((tmp_path / "screen.txt").open("a")), effects=world.effects()).run()
    assert caught.value.where == f"{tmp_path / 'e.yaml'}:{where}"
    assert folder.manifest["error"] == str(caught.value)


def test_the_manifest_says_where_a_kernel_came_from(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    assert "kernel_source" not in folder.manifest["box"]
    form = SuiteKernel(suite="trixie", package="linux-image-cloud-amd64")
    world.built = lambda root: forge_with_kernel(root, form)
    campaign, folder = start(machine={"box": "debian-12", "kernel": form.model_dump()})
    assert campaign.run().ok
    assert folder.manifest["box"]["kernel_source"] == "linux-image-cloud-amd64 of trixie"
    assert (folder.manifest["box"]["kernel"], folder.manifest["box"]["name"]) == ("6.12.1-other", "debian-12")
