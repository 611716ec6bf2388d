"""A stop signal at any point of a campaign at which a machine is up leaves none up."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from boxes_on_disk import forge_box
from fakes import BASE, GOOD, World

from harness import interrupt, plan, spec
from harness.boxes.provisioned import ProvisionedBox
from harness.campaign import preparation, recorder, steps
from harness.campaign.attempt import Attempt
from harness.campaign.recorder import Recorder
from harness.errors import HarnessError, Interrupted, MachineError, ProvisionError
from harness.interrupt import stop_signals_raise
from harness.progress import SilentWatcher
from harness.store import RunFolder

pytestmark = pytest.mark.slow

CAMPAIGN = {preparation.__file__, recorder.__file__}
TRACED = CAMPAIGN | {contextlib.__file__, interrupt.__file__, steps.__file__}
EXPERIMENT = spec.from_dict({**BASE, "trials": {"repeat": 1, "attempts": 1}})


class Nothing:
    """A view that shows nothing."""

    def step(self, name: str, title: str) -> contextlib.nullcontext[SilentWatcher]:
        return contextlib.nullcontext(SilentWatcher())

    def show(self, kind: str, text: str) -> None:
        pass


class StopAt:
    """Sends SIGTERM at the n-th point at which a machine is up; with 0 it sends none and counts them.

    A point is a call, line or return of the traced modules, reached from a line of the recorder or the preparation from
    which it was not reached before: what a loop or a step does again leads to the same clean-up.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.seen: set[tuple[str, int, str, str]] = set()
        self.place = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> StopAt | None:
        if frame.f_code.co_filename not in TRACED:
            return None
        point = (frame.f_code.co_filename, frame.f_lineno, event, _line_of_the_campaign(frame))
        if self.world.up and not self.place and point not in self.seen:
            self.seen.add(point)
            if len(self.seen) == self.number:
                self.place = f"{event} {Path(point[0]).name}:{frame.f_lineno} from {point[3]}"
                signal.raise_signal(signal.SIGTERM)
        return self


def _line_of_the_campaign(frame: FrameType | None) -> str:
    while frame and frame.f_code.co_filename not in CAMPAIGN:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else ""


@contextlib.contextmanager
def traced(tracer: StopAt) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.fixture(autouse=True)
def quick_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep manifests in memory, because hundreds of runs are made, and make an attempt one small file."""

    def attempt(world: World, host: Any, trial: Any, folder: Path, *_: Any) -> Attempt:
        folder.mkdir(parents=True)
        (folder / "perf.data.zst").write_bytes(b"recorded")
        return Attempt(GOOD, {})

    def remember(folder: RunFolder, **changes: Any) -> None:
        folder._content = {**folder._content, **changes}

    monkeypatch.setattr("harness.store.folder.write_atomic", lambda *_: None)
    monkeypatch.setattr("harness.store.folder.sync", lambda _: None)
    monkeypatch.setattr("harness.store.manifest.versions", dict)
    monkeypatch.setattr(RunFolder, "update", remember)
    monkeypatch.setattr(RunFolder, "event", lambda *_, **__: None)
    monkeypatch.setattr("fakes.forge_box", cache(forge_box))
    monkeypatch.setattr(World, "_attempt", attempt)


@dataclass
class NoPackages(World):
    """A world in which nothing can be installed."""

    def _provision(self, *_: Any) -> Any:
        raise ProvisionError("no-such-package")


def ready_made(_: Path) -> World:
    return World()


def first_run(folder: Path) -> World:
    return World(cache=folder / "boxes")


def first_run_whose_kept_machine_does_not_boot(folder: Path) -> World:
    return World(cache=folder / "boxes", keeping={"up": MachineError("it did not boot")})


@cache
def kept_by_a_first_run(folder: Path) -> dict[str, ProvisionedBox]:
    world = first_run(folder)
    record(folder, world, 0)
    return world.kept


def later_run(folder: Path) -> World:
    return World(cache=folder / "boxes", kept=kept_by_a_first_run(folder))


def nothing_can_be_installed(_: Path) -> World:
    return NoPackages()


def record(folder: Path, world: World, number: int) -> tuple[StopAt, set[str]]:
    """Record a trial, stopped at a point; return that point and the machines that are up when `record` has ended."""
    run = RunFolder.create(folder / "runs", EXPERIMENT)
    once, trials = Recorder(run, Nothing(), effects=world.effects()), plan.trials(EXPERIMENT)
    tracer = StopAt(world, number)
    with stop_signals_raise():
        try:
            with traced(tracer):
                once.record(trials, trials)
        except (HarnessError, Interrupted):
            # Look while the error holds all frames: later, Python ends the generators that the signal passed by.
            return tracer, set(world.up)
    return tracer, set(world.up)


@pytest.mark.parametrize(
    "make",
    [ready_made, first_run, later_run, first_run_whose_kept_machine_does_not_boot, nothing_can_be_installed],
)
def test_a_stop_signal_at_any_point_leaves_no_machine_up(make: Callable[[Path], World], tmp_path: Path) -> None:
    points = len(record(tmp_path, make(tmp_path), 0)[0].seen)
    assert points
    left_up = []
    for number in range(1, points + 1):
        tracer, up = record(tmp_path, make(tmp_path), number)
        assert tracer.place
        if up:
            left_up.append(tracer.place)
    assert left_up == []
