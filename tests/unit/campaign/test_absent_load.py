"""A run whose load came from a package that is no longer installed, by the real commands; only its guest was a fake."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from installed_load import install
from one_process import one_after_the_other

from harness import store, workers
from harness.loads import KINDS
from harness.loads.kinds import Kinds

pytestmark = pytest.mark.slow

Start = Callable[..., Any]
GONE = ["the load 'queue' of this run is not installed here", "install queue 1.2, which it came from"]


def look_again() -> None:
    """Forget which packages are installed, as a new process has."""
    vars(KINDS).pop("_installed", None)
    KINDS._loaded.pop("queue", None)
    sys.modules.pop("load_queue", None)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an installed package with the load `queue`, until a test removes it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    install(site, "queue", "queue")
    look_again()
    yield site
    monkeypatch.undo()
    look_again()


def uninstall(package: Path) -> None:
    shutil.rmtree(package)
    look_again()
    assert "queue" not in Kinds({})


def require_gone(refused: Any) -> None:
    shown = " ".join(refused.stderr.split())
    assert all(words in shown for words in GONE), shown


def test_a_run_goes_on_with_other_models_and_its_manifest_says_where_its_load_came_from(
    package: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "run_in_processes", one_after_the_other)
    campaign, folder = start(load={"kind": "queue"}, model={"predictors": ["most_frequent"], "seeds": [0]})
    assert campaign.run().ok
    uninstall(package)
    harness("run", "--resume", folder.path, "--workers", "1", "--set", "model.predictors=[repeat]", code=0)
    done = store.RunFolder.open(folder.path)
    assert done.manifest["load_packages"] == {"queue": "queue 1.2"}
    assert {"model:repeat_s0", "set-aside:most_frequent_s0"} <= done.manifest["steps"].keys()
    require_gone(harness("repeat", folder.path, "--dry-run", code=3))


def test_a_run_that_lacks_recordings_names_the_package(package: Path, start: Start) -> None:
    _, folder = start(load={"kind": "mix", "parts": [{"kind": "idle"}, {"kind": "queue"}]})
    uninstall(package)
    for change in ((), ("--set", "model.predictors=[repeat]")):
        require_gone(harness("run", "--resume", folder.path, *change, code=3))
