"""Real `harness` commands, and a campaign on a real machine."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import HARNESS

from harness import plan, spec
from harness.campaign import attempt
from harness.guest.remote import Host
from harness.machines import libvirt
from harness.machines.libvirt_monitor import LibvirtMonitor
from harness.progress import SilentWatcher
from harness.store import RunFolder

LIMIT_S = 3000.0
KERNEL_SETTINGS = {
    "machine.cmdline": "[nohz=off]",
    "machine.sysctl.vm.swappiness": "7",
    "machine.sched.min_granularity_ns": "3_000_000",
    "machine.sched.features.GENTLE_FAIR_SLEEPERS": "false",
}
VIRSH = ["virsh", "-q", "-c", "qemu:///system"]


@dataclass
class Process:
    """A running `harness` command, with the JSON lines it has printed so far."""

    child: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read events until `wanted` accepts one, and return it."""
        for event in self:
            if wanted(event):
                return event
        pytest.fail(f"the command ended ({self.child.wait()}) before that happened: {self.events[-5:]}")

    def end(self) -> int:
        """Read all output and return the exit code."""
        for _ in self:
            pass
        return self.child.wait(timeout=LIMIT_S)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self.child.stderr
        for line in self.child.stderr:
            if line.startswith("{"):  # others are warnings
                self.events.append(json.loads(line))
                yield self.events[-1]


def harness(*arguments: str) -> Process:
    """Start `harness`, its progress as JSON lines on stderr."""
    return Process(subprocess.Popen([*HARNESS, *arguments, "--json"], stderr=subprocess.PIPE, text=True))


def domains() -> set[str]:
    """Return the machines that libvirt knows."""
    listed = subprocess.run(
        [*VIRSH, "list", "--all", "--name"], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    return set(listed.stdout.split())


@dataclass(frozen=True)
class Smoke:
    """`experiments/smoke.yaml`, stopped while it recorded, then resumed; its machine was kept."""

    stopped: Process
    stopped_code: int
    stopped_state: str
    left_after_stop: bool
    resumed: Process
    resumed_code: int
    folder: RunFolder

    @property
    def host(self) -> Host:
        """The kept machine."""
        return kept_host(self.resumed)

    def monitor(self, folder: Path) -> LibvirtMonitor:
        """Return the view of the kept machine from outside; `folder` gets a copy of its console."""
        return monitor_of(self.domain, folder)

    @property
    def domain(self) -> str:
        """The kept machine's name in libvirt."""
        return str(self.folder.manifest["machine"]["domain"])


def kept_host(process: Process) -> Host:
    """Return the machine that a run left up, reached with the command that it printed."""
    message = next(e["text"] for e in process.events if "the machine stays up: " in e.get("text", ""))
    words = shlex.split(message.partition("stays up: ")[2].partition(";")[0])
    user, _, address = words[-1].partition("@")
    known_hosts = next(word for word in words if word.startswith("UserKnownHostsFile="))
    key, port = words[words.index("-i") + 1], int(words[words.index("-p") + 1])
    return Host(address, port, user, Path(key), Path(known_hosts.partition("=")[2].strip('"')), "guest")


def monitor_of(domain: str, folder: Path) -> LibvirtMonitor:
    """Return the view of a machine from outside; `folder` gets a copy of its console."""
    return LibvirtMonitor(domain, Path(libvirt.volume_path(f"{domain}-console.log")), folder / "console.log")


def record_load(
    host: Host, domain: str, folder: RunFolder, load: Mapping[str, Any], record: Mapping[str, Any], target: Path
) -> dict[str, Any]:
    """Record a load on a machine that a run left up, with that run's other settings; return its trial.json.

    Where another attempt may help, such as after a host that kept the guest waiting, there is one, as in a run.
    """
    values = {**spec.to_dict(folder.experiment), "load": dict(load), "record": dict(record), "sweep": {}}
    (trial,) = plan.trials(spec.from_dict(values))[:1]
    for number in range(1, trial.arm.experiment.trials.attempts + 1):
        place = target / str(number)
        place.mkdir(parents=True)
        facts = folder.manifest["machine"]
        judged = attempt.make(host, trial, place, number, facts, SilentWatcher(), monitor_of(domain, place)).verdict
        if judged.ok or not judged.retryable:
            break
    return dict(json.loads((place / "trial.json").read_text()))
