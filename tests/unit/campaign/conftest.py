"""A campaign with a fake machine, playbook and guest; run folder, recording, tables, models and report are real."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import BASE, World

from harness import spec
from harness.campaign import blocks
from harness.campaign.blocks import Decide
from harness.campaign.loop import Campaign
from harness.interrupt import STOP_SIGNALS
from harness.progress import View
from harness.store import RunFolder
from harness.terminal.progress import PlainView


@pytest.fixture(autouse=True)
def handlers_as_in_a_terminal() -> Iterator[None]:
    """Install the usual handlers, also if the tests run under nohup."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start(tmp_path: Path, world: World) -> Callable[..., tuple[Campaign, RunFolder]]:
    """Make a campaign of BASE with some sections replaced, or resume that in `folder`."""

    def make(
        folder: RunFolder | None = None,
        keep: bool = False,
        view: View | None = None,
        provision_anew: bool = False,
        decide: Decide = blocks.decide,
        **sections: Any,
    ) -> tuple[Campaign, RunFolder]:
        experiment = folder.experiment if folder else spec.from_dict({**BASE, **sections})
        folder = folder or RunFolder.create(tmp_path / "runs", experiment, ["harness", "run"])
        view = view or PlainView((tmp_path / "screen.txt").open("a"))
        options = {"keep": keep, "provision_anew": provision_anew, "effects": world.effects(), "decide": decide}
        return Campaign(experiment, folder, view, **options), folder  # type: ignore[arg-type]

    return make
