"""The two ends of an observation, kept on disk until the trial is judged: its process may be killed before that.

One JSON object a line, appended as the recording begins and ends; half a line, left by a process that was killed, is
skipped. So each begins with a new line. Not flushed to the disk: a machine that loses its power loses the guest, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.files import as_host_error
from harness.noise.host_use import HostSample
from harness.noise.observation import GuestProcesses, Moment, Observation, Trouble
from harness.noise.process_times import ProcessTimes

NAME = ".observation.json"  # in the folder of a trial
ENDS = ("recording", "recorded")


@dataclass(frozen=True)
class VcpuTimes:
    """The times of a guest's vCPU threads, read earlier."""

    run_ns: int
    wait_ns: int


@dataclass(frozen=True)
class SeenTrouble:
    """A time in which the machine stood still, or its hypervisor did not answer."""

    state: str
    why: str
    since: float
    until: float


@dataclass(frozen=True)
class GoneGuest:
    """What an earlier process knew of a guest's processes on this host."""

    pids: tuple[int, ...] = ()
    delay_s: float = 0.0

    def cpu_times(self) -> None:
        """Return None: it may have ended."""

    def process_ids(self) -> tuple[int, ...]:
        """Return the ids of the processes that ran the guest."""
        return self.pids

    def console_delay_s(self) -> float:
        """Return how much later than the guest wrote it a phase may have been seen, in seconds."""
        return self.delay_s


def keeping(observation: Observation, guest: GuestProcesses, folder: Path) -> Callable[[str, float], None]:
    """Return a function that hands the phases of a trial to the observation, and keeps what it saw in `folder`."""

    def on_phase(name: str, late_s: float) -> None:
        observation.phase(name, late_s)
        moment = dict(zip(ENDS, observation.ends, strict=True)).get(name)
        if moment is not None:
            seen = {"moment": asdict(moment), "pids": list(guest.process_ids()), "delay_s": guest.console_delay_s()}
            seen |= {"troubles": [_plain(trouble) for trouble in observation.troubles or ()], "watched_by": os.getpid()}
            with as_host_error(folder / NAME), (folder / NAME).open("a", encoding="utf-8") as sink:
                sink.write("\n" + json.dumps({"phase": name, **seen}) + "\n")

    return on_phase


def guest_in(folder: Path) -> GoneGuest:
    """Return what is known of the guest of the recording that `keeping` saw in this folder."""
    lines = _lines(folder)
    return GoneGuest(tuple(lines[-1]["pids"]), lines[-1]["delay_s"]) if lines else GoneGuest()


def restore(observation: Observation, folder: Path) -> list[str]:
    """Give an observation the ends that `keeping` saw in this folder; return their names.

    Whether the machine stood still meanwhile is known only if one process watched from the one end to the other.
    """
    lines = {line["phase"]: line for line in _lines(folder)}
    seen = {phase: _moment(line["moment"]) for phase, line in lines.items()}
    by_one = len(lines) == len(ENDS) and len({line["watched_by"] for line in lines.values()}) == 1
    troubles = [SeenTrouble(**trouble) for trouble in lines["recorded"]["troubles"]] if by_one else None
    observation.restore(seen.get("recording"), seen.get("recorded"), [*troubles] if troubles is not None else None)
    return [name for name in ENDS if name in seen]


def _lines(folder: Path) -> list[dict[str, Any]]:
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except OSError:
        return []
    lines = []
    for line in text.split("\n"):
        with suppress(ValueError):  # half a line, or none
            lines.append(json.loads(line))
    return lines


def _plain(trouble: Trouble) -> dict[str, Any]:
    return {"state": trouble.state, "why": trouble.why, "since": trouble.since, "until": trouble.until}


def _moment(read: dict[str, Any]) -> Moment:
    vcpus, use = read["vcpus"], read["use"]
    processes = {int(pid): ProcessTimes(**times) for pid, times in use["processes"].items()}
    sample = HostSample(**{**use, "processes": processes})
    return Moment(**{**read, "vcpus": VcpuTimes(**vcpus) if vcpus else None, "use": sample})
