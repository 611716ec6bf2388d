"""The register of this user's machines. An entry is written before its machine starts, so that even a SIGKILL
leaves no machine without an entry.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import paths
from harness.errors import MachineError
from harness.files import make_folder, write_atomic
from harness.guardian import processes_with

WAIT_FOR_ORPHANS_S = 15.0


@dataclass(frozen=True)
class Entry:
    """One machine: its domain (or VirtualBox name), its folder, and the process that owns it."""

    domain: str
    hypervisor: str
    folder: str
    owner_pid: int
    owner_started: str
    created: float

    @property
    def path(self) -> Path:
        """The file of this entry."""
        return _root() / f"{self.domain}.json"

    def owned(self) -> bool:
        """Return whether the process that started it still runs (and not another process with the same id)."""
        return process_start(self.owner_pid) == self.owner_started


def record(domain: str, hypervisor: str, folder: Path) -> Entry:
    """Register that this process is about to start `domain`; the entry is on disk when this returns."""
    pid = os.getpid()
    entry = Entry(domain, hypervisor, str(folder), pid, process_start(pid) or "", time.time())
    make_folder(_root())
    write_atomic(entry.path, json.dumps(asdict(entry)))
    return entry


def forget(domain: str) -> None:
    """Remove the entry of a machine that is gone."""
    (_root() / f"{domain}.json").unlink(missing_ok=True)


def entries() -> list[Entry]:
    """Return every registered machine, oldest first. Raises MachineError for a file that is not an entry."""
    registered = []
    for path in _root().glob("*.json"):
        try:
            registered.append(Entry(**json.loads(path.read_text(encoding="utf-8"))))
        except FileNotFoundError:
            continue
        except (ValueError, TypeError) as error:
            raise MachineError(
                f"the entry of a machine cannot be read: {error}", where=str(path), hint="look at it and remove it"
            ) from None
    return sorted(registered, key=lambda entry: entry.created)


def in_folder(folder: Path) -> list[Entry]:
    """Return the machines that were started for this folder."""
    return [entry for entry in entries() if entry.folder == str(folder)]


def process_start(pid: int) -> str | None:
    """Return the boot id and a process's start in clock ticks since boot (proc(5), field 22); None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return f"{boot}:{text.rpartition(')')[2].split()[19]}"


def end_orphans(settings: Path) -> None:
    """End the Vagrant processes that a killed campaign left: those with this settings file in their environment."""
    variable = f"HARNESS_MACHINE_JSON={settings}"
    end = time.monotonic() + WAIT_FOR_ORPHANS_S
    number = signal.SIGTERM
    while pids := processes_with(variable):
        for pid in pids:
            _signal(pid, number)
        time.sleep(0.2)
        if time.monotonic() > end:
            number = signal.SIGKILL
        if time.monotonic() > end + 5:
            numbers = ",".join(map(str, pids))
            raise MachineError(
                f"processes of a killed campaign do not end: {numbers}",
                where=str(settings),
                hint=f"look at them with `ps -fp {numbers}` and end them",
            )


def _root() -> Path:
    return paths.state_dir() / "machines"


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
