"""The functions of a campaign that act outside its run folder; tests replace them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import boxes, machines
from harness.boxes import Box, provisioned
from harness.boxes.provisioned import ProvisionedBox
from harness.campaign import attempt
from harness.campaign.attempt import Attempt
from harness.campaign.needs import Needs
from harness.guest import provision
from harness.guest.ansible_events import ProvisionReport
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.machines import Leftover, Machine, kvm
from harness.noise import host_use, machine_processes
from harness.noise.host_use import HostUse
from harness.progress import Watcher
from harness.spec import MachineSpec
from harness.store import RunFolder


def _build_box(spec: MachineSpec, watcher: Watcher) -> Box:
    """Return the box of a machine: with the kernel of its recipe, which may have to be a certain one, or another."""
    form = None if isinstance(spec.kernel, str) else spec.kernel
    return boxes.build(boxes.recipe(spec.box), watcher, form)


def _find_provisioned(box: Box, needed: Needs) -> ProvisionedBox | None:
    return provisioned.find(provisioned.key(box.digest, needed.roles, needed.variables))


def _kvm_works() -> bool | None:
    """Return whether a guest has booted under KVM on this host; None if that was not tried."""
    probed = kvm.remembered(None)
    return probed.works if probed else None


@dataclass(frozen=True)
class Effects:
    """The functions that act outside the run folder; tests replace them."""

    build_box: Callable[[MachineSpec, Watcher], Box | str] = _build_box
    make_machine: Callable[[MachineSpec, Box | str, Path, str], Machine] = lambda spec, *rest: machines.KINDS[
        spec.provider
    ](spec, *rest)
    provision: Callable[..., ProvisionReport] = provision.apply
    make_attempt: Callable[..., Attempt] = attempt.make
    find_provisioned: Callable[[Box, Needs], ProvisionedBox | None] = _find_provisioned
    check_space_to_keep: Callable[[], None] = machines.check_space
    keep_provisioned: Callable[..., ProvisionedBox] = machines.keep
    discard_provisioned: Callable[[ProvisionedBox], None] = machines.discard
    discard_superseded: Callable[[ProvisionedBox], None] = machines.discard_superseded
    left_behind: Callable[[], list[Leftover]] = machines.left_behind
    attach: Callable[[Leftover, Mapping[str, Any]], tuple[Host, Monitor]] = machines.attach
    measure_host: Callable[..., HostUse] = host_use.measure  # seconds, ids of processes to leave out
    kvm_works: Callable[[], bool | None] = _kvm_works
    other_machines: Callable[[], list[str]] = machine_processes.others
    check_engine: Callable[[MachineSpec], None] = lambda spec: machines.KINDS[spec.provider].check_engine(spec)
    track: Callable[[RunFolder], None] = lambda folder: None  # sends what is new in a run; raises Interrupted alone
