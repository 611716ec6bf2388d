"""The real thing: Vagrant, a virtual machine, Ansible, perf. Nothing here is skipped where it cannot run; it fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_campaign import LIMIT_S, Smoke, domains, harness

from harness import machines
from harness.store import RunFolder, find_runs


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
