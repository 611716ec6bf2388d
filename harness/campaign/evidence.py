"""What a trial shows of the scheduler: its trace, or without a tracer what the guest's kernel counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from pyarrow import parquet

from harness import trace
from harness.errors import TraceError, TrialError
from harness.guest.trial import TrialFiles
from harness.noise import observation
from harness.noise.within_trial import standard_errors
from harness.plan import Trial
from harness.recorded_clock import RecordedClock
from harness.trace.converter import ConvertedRecording
from harness.trace.quality import TraceQuality, damage


@dataclass(frozen=True)
class Evidence:
    """What a trial shows. `quality`: None without a trace; `shares`: of CPU time by task name, swapper is idle.

    `record` has the keys of trial.json that only a file shows; `numbers` those that lists of trials show, too.
    """

    quality: TraceQuality | None
    shares: Mapping[str, float]
    record: Mapping[str, Any]
    numbers: Mapping[str, Any]


def of_trial(trial: Trial, files: TrialFiles, machine: Mapping[str, Any]) -> Evidence:
    """Read what a trial left, and write the tables of its trace beside it.

    Raises TraceError for a trace that cannot be read, TrialError where there is none although the trial had a tracer.
    """
    if trial.record.tracer == "none":
        idle = observation.idle_share(files.guest["recording"])
        return Evidence(None, {} if idle is None else {"swapper": idle}, {}, {})
    if files.perf_data is None:
        raise TrialError("there is no perf.data of a trial that had a tracer", where=str(files.guest_json.parent))
    return _of_trace(files.perf_data, trial, machine)


def of_kernel(trial: Trial, guest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the guest's kernel counted from the beginning of the recording to its end: with a tracer or without.

    These numbers are measured alike in both; those of a trace are of the trace alone.
    """
    recording = guest.get("recording", {})
    return {
        "tracer": trial.record.tracer,
        "guest_idle_share": observation.idle_share(recording),
        "guest_switches_per_s": observation.switches_per_s(recording),
        "guest_connections_per_s": observation.connections_per_s(recording),
    }


def _of_trace(recording: Path, trial: Trial, machine: Mapping[str, Any]) -> Evidence:
    buffer_bytes = trial.record.buffer_kb * 1024 * machine["cpus"]
    ingested = trace.ingest(recording, recording.parent, RecordedClock.of(machine).about(), buffer_bytes)
    if not ingested.quality.run_times:
        what = f"the recording does not tell what ran: {damage(ingested.quality)}"
        raise TraceError(what, where=str(recording))
    with ingested.paths["slices"].open("rb") as source:
        slices = parquet.read_table(source, columns=["start_ns", "contested"], page_checksum_verification=True)
    record = {
        "quality": ingested.quality.to_dict(),
        "usage": {comm: asdict(usage) for comm, usage in ingested.usage.items()},
        "noise": standard_errors(slices["start_ns"].to_numpy(), slices["contested"].to_numpy()),
    }
    numbers = {
        "switches": len(slices),
        "contested_share": pc.mean(slices["contested"]).as_py(),
        "idle_share": ingested.idle_share,
    }
    return Evidence(ingested.quality, _shares(ingested), record, numbers)


def _shares(ingested: ConvertedRecording) -> dict[str, float]:
    """Return the share of CPU time by task name; the idle tasks have the kernel's name, swapper."""
    return {**{comm: usage.cpu_share for comm, usage in ingested.usage.items()}, "swapper": ingested.idle_share or 0.0}
