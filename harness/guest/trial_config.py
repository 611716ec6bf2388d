"""The configuration of one trial, which the guest script is started with, and the limits that follow from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from harness.loads.base import RECORDING_FILE, Load, Timing, part_names

GUEST_ROOT = "/var/tmp/harness-trial"
SERVICES_FILE = "/run/harness-trial-services"  # in the guest: the services that a trial started, a line each
CONSOLE = "/dev/ttyS0"
MB_PER_CPU_SECOND = 8  # disk space that the recording of a fast guest takes
ALONE_S = 30.0  # for the SSH connections of others to end
PREPARE_S = 1800.0  # for what prepares one part of a load
START_S = 4.0  # for one part of a load to start, and for a look at the tasks
GRACE_S = 120.0  # for perf to begin and to write its file, besides the length of the recording
START_LIMIT_S = 300.0  # a heavy load delays everything on the guest
FINISH_LIMIT_S = 900.0  # for facts and hashes
START = '''"""Starts one trial in the guest: `python3 trial.py check`, then `python3 trial.py record`."""

import json
import sys

from scripts.trial_script import main

CONFIG_JSON = {config!r}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], json.loads(CONFIG_JSON)))
'''


class PlannedTrial(Protocol):
    """The part of a planned trial that this module needs."""

    @property
    def name(self) -> str:
        """Unique within the campaign; letters, digits, `_`, `-` and `.`."""

    @property
    def load(self) -> Load:
        """The load to record."""

    @property
    def record(self) -> Any:
        """`warmup_s`, `seconds`, `buffer_kb`, `tracer`."""

    @property
    def seed(self) -> int:
        """Where the load's random numbers come from."""


def expectations(trial: PlannedTrial, kernel: str | None, cpus: int | None) -> dict[str, Any]:
    """Return the values of a good trial, for `script_config`, `run` and `harness.campaign.verdict.judge`."""
    return {
        "kernel": kernel,
        "cpus": cpus,
        "seconds": trial.record.seconds,
        "kind": trial.load.kind,
        "keeps_cpu_busy": trial.load.keeps_cpu_busy,
        "limits": trial.load.limits,
    }


def render(config: Mapping[str, Any]) -> str:
    """Return trial.py: the script that starts the trial with this configuration, which comes from `script_config`."""
    return START.format(config=json.dumps(config, sort_keys=True))


def script_config(trial: PlannedTrial, expected: Mapping[str, Any], attempt: int = 1) -> dict[str, Any]:
    """Return the guest script's configuration; units and folders are named after the attempt, so each has its own."""
    record, cpus, label = trial.record, expected.get("cpus"), _safe(f"{trial.name}-a{attempt}")
    timing = Timing(trial.seed, record.warmup_s, record.seconds)
    return {
        "name": trial.name,
        "label": label,
        "console": CONSOLE,
        "unit": f"harness-trial-{label}.service",
        "work_dir": f"{GUEST_ROOT}/{label}",
        "services": list(trial.load.services),
        "services_file": SERVICES_FILE,
        "recording_file": RECORDING_FILE,
        "parts": [
            _part(part, name, label, timing.of_part(index))
            for index, (part, name) in enumerate(zip(trial.load.parts, part_names(trial.load.parts), strict=True))
        ],
        "prepare_s": PREPARE_S,
        "kernel_settings": expected.get("kernel_settings", []),
        "kernel": expected.get("kernel"),
        "cpus": cpus,
        "kind": trial.load.kind,
        "seed": trial.seed,
        "start_s": START_S * len(trial.load.parts),
        "warmup_s": record.warmup_s,
        "seconds": record.seconds,
        "longest_s": timing.longest_s,
        "grace_s": GRACE_S + record.seconds,
        "alone_s": ALONE_S,
        "buffer_kb": record.buffer_kb,
        "tracer": record.tracer,
        "free_mb": int(256 + MB_PER_CPU_SECOND * record.seconds * (cpus or 1)),
    }


def _part(part: Load, name: str, label: str, timing: Timing) -> dict[str, Any]:
    """Return what the guest script knows of one part of a load."""
    safe = _safe(name)
    return {
        "name": name,
        "unit": f"harness-load-{label}-{safe}.service",
        "folder": f"{GUEST_ROOT}/{label}/load-{safe}",
        "command": part.command(),
        "prepare": part.prepare(),
        "ready": part.ready(),
        "files": part.files(timing),
        "stop_signal": part.stop_signal,
        "stops_all": part.stops_all,
    }


def _safe(text: str) -> str:
    """Keep only characters that a unit's name may have."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)


def is_traced(config: Mapping[str, Any]) -> bool:
    """Return whether the trial records the scheduler, as those of scripts of earlier versions all do."""
    return bool(config.get("tracer", "perf") != "none")


def timing_of(config: Mapping[str, Any]) -> Timing:
    """Return the trial that a load ran for; scripts of earlier versions, which a run may have left, know no seed."""
    return Timing(config.get("seed", 0), config["warmup_s"], config["seconds"])


def phase_limits(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the guest's phases in order, each with its limit since the last one in seconds of the guest.

    The guest script has limits of its own, which end it earlier; these are for a guest that no longer runs it.
    """
    parts, services = config.get("parts", []), config.get("services", [])  # none in a script of an earlier version
    prepare_s = sum(config["prepare_s"] for part in parts if part["prepare"])
    record_s = config["seconds"] + config["grace_s"]  # the script's own limit, from the start of perf to its end
    return {
        "prepared": config["alone_s"] + prepare_s + START_LIMIT_S * (1 + len(parts) + len(services)),
        "recording": config["warmup_s"] + record_s + START_LIMIT_S,
        "recorded": record_s + GRACE_S,
        "done": config["grace_s"] + FINISH_LIMIT_S,
    }
