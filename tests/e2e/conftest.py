"""A real campaign: Vagrant, a virtual machine, Ansible, perf. Where it cannot run, the tests fail; none is skipped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_campaign import KERNEL_SETTINGS, LIMIT_S, Smoke, domains, harness

from harness import machines
from harness.machines import schedstat
from harness.store import RunFolder, find_runs


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests their own register of machines, so that they never remove a machine of another run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, own_state: None) -> Iterator[Smoke]:
    """Run a campaign, stop it with SIGTERM during its recording, and resume it to its end.

    The first provisions a machine and keeps it, also if an earlier test run did; the second uses what was kept. A busy
    host that keeps the guest's CPU waiting fails neither this run nor its repetition.
    """
    # A host that does not show how long it was fails a limit that is set, and passes where none is.
    busy = ["--set", "verdict.max_host_share=1"] if schedstat.total((os.getpid(),)) else []
    # Relative, as by default: programs that work from other folders must find it too.
    runs = Path(os.path.relpath(tmp_path_factory.mktemp("e2e") / "runs"))
    settings = [f"--set={path}={value}" for path, value in KERNEL_SETTINGS.items()]
    stopped = harness("run", "experiments/smoke.yaml", "--provision", *busy, *settings, "--runs", str(runs))
    stopped.until(lambda event: event.get("step") == "trial:000_nginx_ab" and event["event"] == "step_started")
    time.sleep(5)  # some way into the trial, which takes longer: it uploads, checks, warms up and records for 10 s
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
        for entry in machines.left_behind():  # only those in the register of these tests
            machines.remove(entry)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as an e2e test with a longer limit, unless it has one of its own."""
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LIMIT_S))
