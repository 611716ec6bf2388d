"""One attempt at a trial: carry it out, read the recording, judge it, and write trial.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import zstandard
from pyarrow import parquet

from harness import trace
from harness.campaign import verdict
from harness.campaign.verdict import Verdict
from harness.errors import HostError, TraceError
from harness.files import atomic_file, write_atomic
from harness.guest import setting_files, trial_config
from harness.guest import trial as guest_trial
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.guest.trial import TrialFiles
from harness.loads.base import Metrics
from harness.noise import moments_file
from harness.noise.observation import Observation
from harness.noise.within_trial import standard_errors
from harness.plan import Trial
from harness.progress import Watcher
from harness.recorded_clock import RecordedClock
from harness.store.manifest import plain
from harness.trace.converter import ConvertedRecording
from harness.trace.quality import damage

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

    `recovered`: how it got there if the process that began the trial was killed. Raises TraceError.
    """
    folder, expected = files.guest_json.parent, _expected(trial, machine)
    host_facts = observation.facts(files.guest.get("recording", {}))
    watcher.note("reading the recording")
    buffer_bytes = trial.arm.experiment.record.buffer_kb * 1024 * machine["cpus"]
    ingested = trace.ingest(files.perf_data, folder, RecordedClock.of(machine).about(), buffer_bytes)
    if not ingested.quality.run_times:
        raise TraceError(
            f"the recording does not tell what ran: {damage(ingested.quality)}", where=str(files.perf_data)
        )
    limits = trial.arm.experiment.verdict
    judged = verdict.judge(files.guest, ingested.quality, _shares(ingested), limits, expected, host_facts)
    if files.perf_data.suffix != ".zst":
        compress(files.perf_data)
    with ingested.paths["slices"].open("rb") as source:
        slices = parquet.read_table(source, columns=["start_ns", "contested"], page_checksum_verification=True)
    detail = _detail(files.metrics, ingested.idle_share, judged, slices["contested"])
    detail |= {"host_share": host_facts["share"], "clock": expected["clock"]}
    if others := host_facts["other_machines"]:
        detail["other_machines"] = others
    record = {
        "name": trial.name,
        "arm": trial.arm.name,
        "settings": trial.arm.settings,
        "repetition": trial.repetition,
        "seed": trial.seed,
        "attempts": number,
        "seconds": files.seconds,
        "verdict": {"ok": judged.ok, "checks": [asdict(check) for check in judged.checks]},
        "load": trial.arm.experiment.load.model_dump(mode="json"),
        "quality": ingested.quality.to_dict(),
        "usage": {comm: asdict(usage) for comm, usage in ingested.usage.items()},
        "idle_share": ingested.idle_share,
        "machine": dict(machine),
        "kernel_settings": files.guest.get("kernel_settings", []),
        "host": host_facts,
        "noise": standard_errors(slices["start_ns"].to_numpy(), slices["contested"].to_numpy()),
        **({"recovered": recovered} if recovered else {}),
        **detail,
    }
    write_atomic(folder / "trial.json", json.dumps(plain(record), indent=1, allow_nan=False) + "\n")
    (folder / moments_file.NAME).unlink(missing_ok=True)
    settings = {row["name"]: row["actual"] for row in files.guest.get("kernel_settings", ())}
    kernel = {"kernel_settings": settings} if settings else {}
    return Attempt(judged, {"arm": trial.arm.name, "attempts": number, **detail, **kernel})


def _expected(trial: Trial, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a good trial on this machine must have, and what the verdict needs to know of the machine."""
    facts = {
        "clock": machine.get("clock", "host"),
        "accelerator": machine.get("accelerator"),
        "kernel_settings": setting_files.wanted(trial.machine),
    }
    return {**trial_config.expectations(trial, machine["kernel"], machine["cpus"]), **facts}


def _shares(ingested: ConvertedRecording) -> dict[str, float]:
    """Return the share of CPU time by task name; the idle tasks have the kernel's name, swapper."""
    return {**{comm: usage.cpu_share for comm, usage in ingested.usage.items()}, "swapper": ingested.idle_share or 0.0}


def _detail(metrics: Metrics, idle_share: float | None, judged: Verdict, contested: pa.ChunkedArray) -> dict[str, Any]:
    """Return the few numbers that lists of trials show."""
    tracer = next((check.value for check in judged.checks if check.name == "tracer share"), None)
    return {
        "switches": len(contested),
        "contested_share": pc.mean(contested).as_py(),
        "tracer_share": tracer,
        "idle_share": idle_share,
        "metrics": metrics,
    }


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
