"""One attempt at a trial: carry it out, read the recording, judge it, and write trial.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from harness.campaign import evidence, host_conditions, verdict
from harness.campaign.verdict import Verdict
from harness.errors import HostError
from harness.files import atomic_file, write_atomic
from harness.guest import setting_files, trial_config
from harness.guest import trial as guest_trial
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.guest.trial import TrialFiles
from harness.noise import moments_file
from harness.noise.observation import Observation
from harness.plan import Trial
from harness.progress import Watcher
from harness.store import clock
from harness.store.manifest import host_id, plain

COMPRESSION_LEVEL = 3  # raw recordings shrink about eightfold; higher levels cost seconds and gain little
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Attempt:
    """The result of one attempt: its verdict, and details for the manifest."""

    verdict: Verdict
    detail: dict[str, Any]


def make(
    host: Host,
    trial: Trial,
    folder: Path,
    number: int,
    machine: Mapping[str, Any],
    watcher: Watcher,
    monitor: Monitor,
) -> Attempt:
    """Carry out `trial` on `host` and write all its files to `folder`, trial.json last.

    `machine` are the facts of the machine that is up; `monitor` shows it from outside.

    Raises TrialError or RemoteError when the trial fails, TraceError when the recording cannot be read.
    """
    expected = _expected(trial, machine)
    troubles = host.vigil.troubles if host.vigil else tuple
    observation = Observation(monitor, machine["cpus"], name=machine.get("domain"), troubles=troubles)
    on_phase = moments_file.keeping(observation, monitor, folder)
    try:
        files = guest_trial.run(
            host, trial, folder, watcher, expected=expected, monitor=monitor, on_phase=on_phase, attempt=number
        )
    except Exception:  # not a stop signal: then this recording may still be judged
        (folder / moments_file.NAME).unlink(missing_ok=True)
        raise
    return judge(trial, files, number, machine, observation, watcher)


def judge(
    trial: Trial,
    files: TrialFiles,
    number: int,
    machine: Mapping[str, Any],
    observation: Observation,
    watcher: Watcher,
    recovered: Mapping[str, Any] | None = None,
) -> Attempt:
    """Read and judge a recording that lies in its trial's folder, and write the tables and trial.json.

    `recovered`: how it got there if the process that began the trial was killed. Raises TraceError, and TrialError
    where a recording should lie there and does not.
    """
    folder, expected = files.guest_json.parent, _expected(trial, machine)
    host_facts = observation.facts(files.guest.get("recording", {}))
    watcher.note("reading the recording")
    shown = evidence.of_trial(trial, files, machine)
    limits = trial.arm.experiment.verdict
    judged = verdict.judge(files.guest, shown.quality, shown.shares, limits, expected, host_facts)
    if files.perf_data and files.perf_data.suffix != ".zst":
        compress(files.perf_data)
    detail = {**evidence.of_kernel(trial, files.guest), **shown.numbers, **_tracer_share(judged)}
    detail |= {"metrics": files.metrics}
    detail |= {"host_share": host_facts["share"], "clock": expected["clock"]}
    if others := host_facts["other_machines"]:
        detail["other_machines"] = others
    record = {
        "name": trial.name,
        "arm": trial.arm.name,
        "settings": trial.arm.settings,
        "repetition": trial.block,
        **_where_and_when(trial, files, observation),
        "seed": trial.seed,
        "attempts": number,
        "seconds": files.seconds,
        "verdict": judged.to_dict(),
        "load": trial.arm.experiment.load.model_dump(mode="json"),
        "machine": dict(machine),
        "kernel_settings": files.guest.get("kernel_settings", []),
        "host": host_facts,
        "host_conditions": host_conditions.read(),
        **shown.record,
        **({"recovered": recovered} if recovered else {}),
        **detail,
    }
    write_atomic(folder / "trial.json", json.dumps(plain(record), indent=1, allow_nan=False) + "\n")
    (folder / moments_file.NAME).unlink(missing_ok=True)
    settings = {row["name"]: row["actual"] for row in files.guest.get("kernel_settings", ())}
    kernel = {"kernel_settings": settings} if settings else {}
    late = {"late": True} if trial.late else {}
    return Attempt(judged, {"arm": trial.arm.name, "attempts": number, **detail, **kernel, **late})


def _where_and_when(trial: Trial, files: TrialFiles, observation: Observation) -> dict[str, Any]:
    """Return what a comparison counts by. `recorded_at` is None if the recording's beginning was not seen."""
    began, _ = observation.ends
    realtime_s = began.clocks.get("realtime_s") if began else None
    return {
        "block": trial.block,
        "late": trial.late,
        "host_id": host_id(),
        "boot_id": files.guest.get("boot_id"),
        "recorded_at": clock.at(realtime_s - began.late_s) if began and realtime_s is not None else None,
    }


def _expected(trial: Trial, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a good trial on this machine must have, and what the verdict needs to know of the machine."""
    facts = {
        "clock": machine.get("clock", "host"),
        "accelerator": machine.get("accelerator"),
        "kernel_settings": setting_files.wanted(trial.machine),
    }
    return {**trial_config.expectations(trial, machine["kernel"], machine["cpus"]), **facts}


def _tracer_share(judged: Verdict) -> dict[str, Any]:
    """Return the tracer's share of CPU time, as it was judged; nothing without a tracer."""
    shares = [check.value for check in judged.checks if check.name == "tracer share"]
    return {"tracer_share": shares[0]} if shares else {}


def compress(path: Path) -> Path:
    """Compress a file with zstd to `path.zst`, then remove the original. Raises HostError."""
    target = path.with_name(f"{path.name}.zst")
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
    with atomic_file(target) as sink, compressor.stream_writer(sink, closefd=False) as packed:
        for block in _blocks(path):
            packed.write(block)
    path.unlink()
    return target


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file. Raises HostError, so that `atomic_file` does not take it for a write error."""
    try:
        with path.open("rb") as source:
            while block := source.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise HostError(f"{path.name} could not be read: {error.strerror or error}", where=str(path)) from error
