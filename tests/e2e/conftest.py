"""The real thing: Vagrant, a virtual machine, Ansible, perf. Nothing here is skipped where it cannot run; it fails."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import HARNESS

from harness import machines
from harness.remote import Host
from harness.store import RunFolder, find_runs

LIMIT_S = 3000.0
VIRSH = ["virsh", "-q", "-c", "qemu:///system"]


@dataclass
class Process:
    """A `harness` command under way, with the JSON lines it has printed so far."""

    child: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read on until an event is the wanted one."""
        for event in self:
            if wanted(event):
                return event
        pytest.fail(f"the command ended ({self.child.wait()}) before that happened: {self.events[-5:]}")

    def end(self) -> int:
        """Read to the end; the exit code."""
        for _ in self:
            pass
        return self.child.wait(timeout=LIMIT_S)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self.child.stdout
        for line in self.child.stdout:
            self.events.append(json.loads(line))
            yield self.events[-1]


def harness(*arguments: str) -> Process:
    """Start `harness` with JSON output."""
    return Process(subprocess.Popen([*HARNESS, *arguments, "--json"], stdout=subprocess.PIPE, text=True))


def domains() -> set[str]:
    """Every machine that libvirt knows."""
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
        """The kept machine, reached as the message that announces it says."""
        told = next(e["text"] for e in self.resumed.events if "the machine stays up: " in e.get("text", ""))
        words = shlex.split(told.partition("stays up: ")[2].partition(";")[0])
        user, _, address = words[-1].partition("@")
        known = next(word for word in words if word.startswith("UserKnownHostsFile="))
        key, port = words[words.index("-i") + 1], int(words[words.index("-p") + 1])
        return Host(address, port, user, Path(key), Path(known.partition("=")[2].strip('"')), "guest")

    @property
    def domain(self) -> str:
        """The kept machine's name in libvirt."""
        return str(self.folder.manifest["machine"]["domain"])


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A register of machines of the tests' own, so that they never take away one that somebody else kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, own_state: None) -> Iterator[Smoke]:
    """One real campaign: stopped by SIGTERM in the middle of its recording, then carried to its end."""
    # Relative, as it is by default: other programs, which work from other folders, have to find it all the same.
    runs = Path(os.path.relpath(tmp_path_factory.mktemp("e2e") / "runs"))
    stopped = harness("run", "experiments/smoke.yaml", "--runs", str(runs))
    stopped.until(lambda event: event.get("step") == "trial:000_nginx_ab" and event["event"] == "step_started")
    # told of 15 s into the trial at the earliest: it records, or is close to it; whichever, it has to end well
    stopped.until(lambda event: event.get("step") == "trial:000_nginx_ab" and event["event"] == "step_progress")
    stopped.child.send_signal(signal.SIGTERM)
    code = stopped.end()
    interrupted = RunFolder.open(find_runs(runs)[-1])
    left = str(interrupted.manifest["machine"]["domain"]) in domains()
    resumed = harness("run", "--resume", "--keep", "--runs", str(runs))
    done = resumed.end()
    folder = RunFolder.open(find_runs(runs)[-1])
    try:
        yield Smoke(stopped, code, interrupted.state, left, resumed, done, folder)
    finally:
        for entry in machines.left_behind():  # in the register of these tests alone
            machines.remove(entry)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is an e2e test with its own, longer limit."""
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(LIMIT_S))
