"""A campaign whose machine, playbook and guest are fakes; folder, recording, tables, models and report are real."""

from __future__ import annotations

import lzma
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import attempt, spec, verdict
from harness.attempt import Attempt
from harness.campaign import Campaign
from harness.errors import HarnessError
from harness.interrupt import STOP_SIGNALS
from harness.plan import Trial
from harness.progress import View, Watcher
from harness.provision import ProvisionReport
from harness.recording import Tools
from harness.remote import Host
from harness.spec import MachineSpec
from harness.store import RunFolder
from harness.trace import ingest
from harness.verdict import Check, Verdict
from harness.views import PlainView

RECORDING = Path(__file__).parents[2] / "data" / "nginx_ab_one_cpu.perf.data.xz"
BASE = {
    "name": "small",
    "machine": {"box": "debian-12"},
    "load": {"kind": "nginx_ab"},
    "trials": {"repeat": 2, "attempts": 2},
    "model": {"predictors": []},
}
GOOD = Verdict([Check("kernel", True, "6.1", "6.1")])
BAD = Verdict([Check("lost events", False, 7, 0, "perf could not keep up")])
HOPELESS = Verdict([Check("load at the end", False, "inactive", "active", "raise load.requests", retryable=False)])


@dataclass
class World:
    """What happened, and what shall happen: `boxes` and `trials` map a name to an error or verdicts to come."""

    log: list[str] = field(default_factory=list)
    boxes: dict[str, HarnessError] = field(default_factory=dict)
    outcomes: list[Verdict | BaseException] = field(default_factory=list)
    up: set[str] = field(default_factory=set)

    def tools(self) -> Tools:
        return Tools(box=self._box, machine=self._machine, provision=self._provision, attempt=self._attempt)

    def _box(self, name: str, watcher: Watcher) -> str:
        self.log.append(f"box {name}")
        if name in self.boxes:
            raise self.boxes[name]
        return name

    def _machine(self, wanted: MachineSpec, box: Any, place: Path, name: str) -> FakeMachine:
        return FakeMachine(self, wanted.box, place, wanted.memory_mb)

    def _provision(self, hosts: list[Host], roles: list[str], *_: Any) -> ProvisionReport:
        self.log.append(f"provision {' '.join(roles)}")
        return ProvisionReport([], 0.1, Path("provision.log"), {}, {hosts[0].name: {"nginx": "1.22"}})

    def _attempt(
        self, host: Host, trial: Trial, place: Path, number: int, machine: dict[str, Any], watcher: Watcher
    ) -> Attempt:
        self.log.append(f"trial {trial.name} attempt {number}")
        outcome = self.outcomes.pop(0) if self.outcomes else GOOD
        place.mkdir(parents=True)
        if isinstance(outcome, BaseException):
            raise outcome
        (place / "perf.data").write_bytes(lzma.decompress(RECORDING.read_bytes()))
        ingest(place / "perf.data", place)
        attempt.compress(place / "perf.data")
        return Attempt(outcome, {"arm": trial.arm.name, "switches": 1})


class FakeMachine:
    def __init__(self, world: World, box: str, place: Path, memory_mb: int) -> None:
        self.world, self.box, self.place, self.memory_mb = world, box, place, memory_mb

    def up(self, watcher: Watcher) -> list[Host]:
        self.world.log.append(f"up {self.box}")
        self.world.up.add(self.box)
        return [Host("127.0.0.1", 22, "vagrant", self.place / "key", self.place / "known_hosts", "guest")]

    def down(self) -> None:
        self.world.log.append(f"down {self.box}")
        self.world.up.discard(self.box)

    def facts(self) -> dict[str, Any]:
        return {"kernel": "6.1.0-56-cloud-amd64", "cpus": 1, "memory_mb": self.memory_mb}


@pytest.fixture(autouse=True)
def handlers_as_in_a_terminal() -> Iterator[None]:
    """Whatever the tests themselves were started under, such as nohup."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start(tmp_path: Path, world: World) -> Callable[..., tuple[Campaign, RunFolder]]:
    """Make a campaign of BASE with some sections replaced; `folder=` goes on with one that is there."""

    def make(
        folder: RunFolder | None = None, keep: bool = False, view: View | None = None, **sections: Any
    ) -> tuple[Campaign, RunFolder]:
        asked = folder.experiment if folder else spec.from_dict({**BASE, **sections})
        place = folder or RunFolder.create(tmp_path / "runs", asked, ["harness", "run"])
        shown = view or PlainView((tmp_path / "screen.txt").open("a"))
        return Campaign(asked, place, shown, keep=keep, tools=world.tools()), place

    return make


__all__ = ["BAD", "GOOD", "HOPELESS", "World", "verdict"]
