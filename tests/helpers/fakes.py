"""A fake machine, playbook and guest for a campaign; the recording is real."""

from __future__ import annotations

import atexit
import lzma
import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from boxes_on_disk import forge_box
from locations import DATA

from harness.boxes import Box, provisioned
from harness.boxes.provisioned import ProvisionedBox, Provisioning
from harness.campaign import attempt
from harness.campaign.attempt import Attempt
from harness.campaign.effects import Effects
from harness.campaign.verdict import Verdict, VerdictCheck
from harness.errors import HarnessError
from harness.guest.ansible_events import ProvisionReport
from harness.guest.monitor import RUNNING, Condition, CpuTimes
from harness.guest.remote import Host
from harness.noise.host_use import HostUse
from harness.plan import Trial
from harness.progress import Watcher
from harness.spec import MachineSpec
from harness.store import RunFolder
from harness.trace import ingest

RECORDING = DATA / "nginx_ab_one_cpu.perf.data.xz"
BASE = {
    "name": "small",
    "machine": {"box": "debian-12"},
    "load": {"kind": "nginx_ab"},
    "trials": {"repeat": 2, "attempts": 2},
    "model": {"predictors": []},
}
GOOD = Verdict([VerdictCheck("kernel", True, "6.1", "6.1")])
BAD = Verdict([VerdictCheck("lost events", False, 7, 0, "perf could not keep up")])
STARVED = Verdict([VerdictCheck("host share", False, 0.4, 0.02, "the host kept the guest's CPU waiting")])
HOPELESS = Verdict(
    [VerdictCheck("load at the end", False, "inactive", "active", "raise load.requests", retryable=False)]
)


@cache
def _recorded() -> str:
    """Return a folder with a recording and its tables, made once for all tests of a process."""
    folder = tempfile.TemporaryDirectory(prefix="recorded-")
    atexit.register(folder.cleanup)
    recording = Path(folder.name) / "perf.data"
    recording.write_bytes(lzma.decompress(RECORDING.read_bytes()))
    ingest(recording, folder.name)
    attempt.compress(recording)
    return folder.name


@dataclass
class World:
    """The calls so far (`log`), the boxes that are `up`, and the results to come.

    `boxes` maps a box to the error it raises; `outcomes` are the verdicts or errors of the next attempts. With `cache`,
    a folder, boxes are built ones and provisioned machines are kept; `keeping` maps a step of that to its error.
    `taken` are the shares of the host that others will take, each measured for one of the seconds in `windows`.
    """

    log: list[str] = field(default_factory=list)
    boxes: dict[str, HarnessError] = field(default_factory=dict)
    outcomes: list[Verdict | BaseException] = field(default_factory=list)
    up: set[str] = field(default_factory=set)
    taken: list[float] = field(default_factory=list)
    windows: list[float] = field(default_factory=list)
    kvm_works: bool | None = None
    other_machines: list[str] = field(default_factory=list)
    cache: Path | None = None
    keeping: dict[str, BaseException] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # the engines that were asked whether they answer
    kept: dict[str, ProvisionedBox] = field(default_factory=dict)
    clock: str = "host"  # what a machine chooses by itself
    refused_kernels: dict[Any, HarnessError] = field(default_factory=dict)
    late: list[bool] = field(default_factory=list)  # of each attempt, whether its trial is late
    built: Callable[[Path], Box] | None = None  # makes the next boxes in the cache
    track: Callable[[RunFolder], None] = lambda folder: None

    def effects(self) -> Effects:
        return Effects(
            self._box,
            self._machine,
            self._provision,
            self._attempt,
            lambda box, needed: self.kept.get(provisioned.key(box.digest, needed.roles, needed.variables)),
            lambda: self._fail("space"),
            self._keep,
            self._discard,
            lambda _: self.log.append("discard older"),
            measure_host=self._measure,
            kvm_works=lambda: self.kvm_works,
            other_machines=lambda: self.other_machines,
            check_engine=self._check_engine,
            track=lambda folder: self.track(folder),
        )

    def _measure(self, seconds: float, own: Collection[int] = ()) -> HostUse:
        """Return the next of `taken`; nothing is taken when there is none."""
        self.windows.append(seconds)
        taken = self.taken.pop(0) if self.taken else 0.0
        return HostUse(seconds, 2, taken, 0.0, (("cc1", 2 * taken),) if taken else ())

    def _box(self, spec: MachineSpec, watcher: Watcher) -> Box | str:
        name = spec.box
        self.log.append(f"box {name}")
        if name in self.boxes:
            raise self.boxes[name]
        if spec.kernel in self.refused_kernels:
            raise self.refused_kernels[spec.kernel]
        if self.built and self.cache:
            return self.built(self.cache)
        return forge_box(self.cache, name) if self.cache else name

    def _check_engine(self, spec: MachineSpec) -> None:
        self.asked.append(spec.hypervisor)
        self._fail("engine")

    def _keep(self, facts: Any, host: Host, box: Box, key: str, made: Provisioning, watcher: Watcher) -> ProvisionedBox:
        self.log.append("keep")
        self._fail("keep")
        inherited = {**vars(box), "digest": key, "image_sha256": f"image{len(self.log)}"}
        kept = ProvisionedBox(**inherited, provisioning=made)
        self.kept[key] = kept
        return kept

    def _discard(self, box: ProvisionedBox) -> None:
        self.log.append("discard")
        del self.kept[box.digest]

    def _fail(self, step: str) -> None:
        if step in self.keeping:
            raise self.keeping[step]

    def _machine(self, wanted: MachineSpec, box: Any, folder: Path, name: str) -> FakeMachine:
        clock = {"clock": wanted.clock or self.clock, "cpu_speed": wanted.cpu_speed}
        return FakeMachine(self, wanted.box, folder, wanted.memory_mb, isinstance(box, ProvisionedBox), clock)

    def _provision(self, hosts: list[Host], roles: list[str], *_: Any) -> ProvisionReport:
        self.log.append(f"provision {' '.join(roles)}")
        return ProvisionReport([], 0.1, Path("provision.log"), {}, {hosts[0].name: {"nginx": "1.22"}})

    def _attempt(
        self, host: Host, trial: Trial, folder: Path, number: int, machine: dict[str, Any], watcher: Watcher, *_: Any
    ) -> Attempt:
        self.log.append(f"trial {trial.name} attempt {number}")
        self.late.append(trial.late)
        outcome = self.outcomes.pop(0) if self.outcomes else GOOD
        if isinstance(outcome, BaseException):
            folder.mkdir(parents=True)
            raise outcome
        if trial.record.tracer == "none":
            folder.mkdir(parents=True)
            (folder / "load.txt").write_text("Complete requests: 9\n")
            return Attempt(outcome, {"arm": trial.arm.name, "tracer": "none"})
        shutil.copytree(_recorded(), folder, copy_function=shutil.copy)  # as new files, with their own times
        met = {"other_machines": self.other_machines} if self.other_machines else {}
        return Attempt(outcome, {"arm": trial.arm.name, "switches": 1, **met})


class FakeMachine:
    @staticmethod
    def check_engine(spec: MachineSpec) -> None: ...

    def __init__(
        self, world: World, box: str, folder: Path, memory_mb: int, kept: bool = False, clock: Any = None
    ) -> None:
        self.world, self.box, self.folder, self.memory_mb = world, box, folder, memory_mb
        self.kept, self.clock = kept, clock or {}

    def up(self, watcher: Watcher) -> list[Host]:
        self.world.log.append(f"up {self.box}" + (" kept" if self.kept else ""))
        if self.kept:
            self.world._fail("up")
        self.world.up.add(self.box)
        return [Host("127.0.0.1", 22, "vagrant", self.folder / "key", self.folder / "known_hosts", "guest")]

    def down(self) -> None:
        self.world.log.append(f"down {self.box}")
        self.world.up.discard(self.box)

    def monitor(self) -> FakeMonitor:
        return FakeMonitor()

    def facts(self) -> dict[str, Any]:
        return {"kernel": "6.1.0-56-cloud-amd64", "cpus": 1, "memory_mb": self.memory_mb, **self.clock}


class FakeMonitor:
    """The view of a guest that does nothing and shows nothing."""

    def console_size(self) -> int:
        return 0

    def console_delay_s(self) -> float:
        return 0.0

    def console(self) -> str:
        return ""

    def guest_seconds(self) -> float | None:
        return None

    def cpu_times(self) -> CpuTimes | None:
        return None

    def process_ids(self) -> tuple[int, ...]:
        return ()

    def condition(self) -> Condition:
        return RUNNING
