"""The processes that run the machines of harness on this host, whoever started them: found by their command lines.

Every machine is named `harness-XXXXXXXX-NAME`, and its hypervisor's process carries that name: QEMU in `-name guest=`,
VirtualBox in `--comment`. A host that hides the processes of other users (hidepid) hides their machines, too; so does a
container that has only libvirt's socket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.noise.process_times import parse_stat

PROC = Path("/proc")
NAME = re.compile(rb"(?:guest=|--comment\0)(harness-[0-9a-f]{8}-[A-Za-z0-9_.-]+)")
PROGRAM = re.compile(rb"qemu|VBox|VirtualBox")  # an editor's or a virsh's command line may hold the name as well
STOPPED = ("T", "t")  # by a signal; by a debugger


def machines(proc: Path = PROC) -> Iterator[tuple[int, str]]:
    """Yield the process and the name of every machine of harness; one that ends meanwhile is left out."""
    for folder in proc.iterdir():
        if folder.name.isdigit() and (name := _name(folder)):
            yield int(folder.name), name


def others(own: str | None = None, proc: Path = PROC) -> list[str]:
    """Return the names of the machines of harness that run, without the machine `own`."""
    return sorted({name for _, name in machines(proc)} - {own})


class MachineProcess:
    """The process that runs the machine of this name, found once and followed since."""

    def __init__(self, name: str, proc: Path = PROC) -> None:
        self._name, self._proc = name, proc
        self._found: tuple[int, int] | None = None  # its id, and its start: an id is reused

    def state(self) -> str | None:
        """Return `running`, `stopped` by a signal, or `ended`; None while there is no such process to be seen."""
        if self._found is None:
            self._found = self._find()
        if self._found is None:
            return None
        state, started = self._look(self._found[0])
        if started != self._found[1] or state == "Z":
            return "ended"
        return "stopped" if state in STOPPED else "running"

    def _find(self) -> tuple[int, int] | None:
        process = next((process for process, name in machines(self._proc) if name == self._name), None)
        started = self._look(process)[1] if process else None
        return (process, started) if process and started is not None else None

    def _look(self, process: int) -> tuple[str, int | None]:
        """Return the state letter and the start of a process; no start when it is gone."""
        try:
            text = (self._proc / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "", None
        times = parse_stat(text)
        return text.rpartition(")")[2].split()[0], times.started if times else None


def _name(folder: Path) -> str | None:
    try:
        command = (folder / "cmdline").read_bytes()
    except OSError:
        return None
    match = NAME.search(command) if PROGRAM.search(command.partition(b"\0")[0]) else None
    return match.group(1).decode("ascii") if match else None
