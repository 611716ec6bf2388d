"""Every load on one real machine that has the packages of all: with its defaults, and the servers in open loops.

The machine is provisioned once and kept; a change of any role makes another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_campaign import LIMIT_S, Process, domains, harness, kept_host, record_load

from harness import machines, spec
from harness.guest import provision
from harness.loads import KINDS
from harness.progress import SilentWatcher
from harness.store import RunFolder, find_runs

pytestmark = [pytest.mark.long, pytest.mark.timeout(3 * LIMIT_S)]  # the first one records them all

EXPERIMENT = "experiments/loads.yaml"
RECORD = {"warmup_s": 1.0, "seconds": 7.0, "buffer_kb": 65_536}
SETTINGS = {
    "record.warmup_s": RECORD["warmup_s"],
    "record.seconds": RECORD["seconds"],
    "trials.repeat": 1,
    "trials.wait_for_calm_s": 0,
    "verdict.max_host_share": 1,
    "model.predictors": "[markov, slice_markov]",
}
COMMAND = {
    "kind": "command",
    "prepare": "seq 100000 > numbers",
    "ready": "test -s numbers",
    "run": "while :; do gzip -k -c numbers | wc -c | sed 's/$/ bytes/'; done",
    "results": {"packed_bytes": "^([0-9]+) bytes$"},
    "limits": {"packed_bytes": {"at_least": 1000}},
}
FURTHER = {  # what the sweep over the kinds has not
    "command": COMMAND,
    "nginx_ab-poisson": {"kind": "nginx_ab", "arrivals": {"poisson": {"rate_per_s": 150.0}}},
    "nginx_wrk-bursts": {"kind": "nginx_wrk", "arrivals": {"bursts": {"rate_per_s": 300.0}}},
    "web-diurnal": {"kind": "web", "arrivals": {"diurnal": {"rate_per_s": 40.0, "day_s": 3.0}}},
    "web-closed": {"kind": "web", "arrivals": {"closed": 5}},
}
SWEPT = sorted(set(KINDS) - {"command"})
BUSY = 0.8


@dataclass(frozen=True)
class Recorded:
    """The run of all kinds, its exit code, and its machine, which is still up."""

    process: Process
    code: int
    folder: RunFolder

    def trial(self, kind: str) -> dict[str, Any]:
        """Return the trial.json of a kind."""
        (path,) = self.folder.path.glob(f"trials/[0-9]*_{kind}/trial.json")
        return dict(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, own_state: None) -> Iterator[Recorded]:
    runs = tmp_path_factory.mktemp("all_loads") / "runs"
    settings = [f"--set={path}={value}" for path, value in SETTINGS.items()]
    process = harness("run", EXPERIMENT, *settings, "--keep", "--runs", str(runs))
    code = process.end()
    try:
        yield Recorded(process, code, RunFolder.open(find_runs(runs)[-1]))
    finally:
        for entry in machines.left_behind():
            machines.remove(entry)


def require_usable(trial: dict[str, Any]) -> None:
    """Require that the recording may be used, that the load measured something, and that it kept the CPU busy."""
    failed = [check for check in trial["verdict"]["checks"] if not check["ok"]]
    assert failed == []
    load = spec.from_dict({"name": "load", "machine": {"box": "debian-12"}, "load": trial["load"]}).load
    assert (not trial["metrics"]) is (trial["load"]["kind"] == "idle")
    assert trial["switches"] > 10
    assert trial["idle_share"] <= 1 - BUSY or not load.keeps_cpu_busy  # type: ignore[attr-defined]


def test_the_sweep_of_the_experiment_has_every_kind_but_commands() -> None:
    assert sorted(spec.load(EXPERIMENT).sweep["load.kind"]) == SWEPT


@pytest.mark.parametrize("kind", SWEPT)
def test_the_recording_of_a_load_with_its_defaults_may_be_used(recorded: Recorded, kind: str) -> None:
    require_usable(recorded.trial(kind))


def test_models_are_scored_and_the_report_is_written(recorded: Recorded) -> None:
    assert recorded.code == 0, recorded.process.events[-5:]
    assert len(list(recorded.folder.path.glob("models/*/scores.json"))) == 2 * len(SWEPT)
    assert (recorded.folder.path / "report" / "index.html").is_file()


def test_provisioning_a_second_time_changes_nothing_whatever_the_role(recorded: Recorded, tmp_path: Path) -> None:
    made = recorded.folder.manifest["box"]["provisioned"]
    host, variables = kept_host(recorded.process), made["variables"]
    again = provision.apply([host], made["roles"], tmp_path, SilentWatcher(), variables)
    assert (again.changed, again.failed) == (0, 0)


@pytest.mark.parametrize("name", FURTHER)
def test_the_recording_of_a_command_and_of_other_arrivals_may_be_used(
    recorded: Recorded, name: str, tmp_path: Path
) -> None:
    domain = str(recorded.folder.manifest["machine"]["domain"])
    assert domain in domains()
    trial = record_load(kept_host(recorded.process), domain, recorded.folder, FURTHER[name], RECORD, tmp_path)
    require_usable(trial)
