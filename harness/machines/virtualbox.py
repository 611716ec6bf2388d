"""VirtualBox through `VBoxManage`: list machines and remove one; and what the host sees of one."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from harness import processes
from harness.errors import HostError, MachineError
from harness.guest.monitor import RUNNING, Condition, CpuTimes

PROGRAM = "VBoxManage"
LIMIT_S = 60.0
ASK_LIMIT_S = 4.0
UNLOCK_S = 20.0  # a machine stays locked for a moment after it is powered off
SILENT = Condition("unknown", "VBoxManage does not answer")
STATE = re.compile(r'^VMState="([a-z]+)"', re.M)
STANDS_STILL = {
    "paused": "somebody paused the machine (VBoxManage controlvm pause)",
    "gurumeditation": "VirtualBox stopped the machine because of an error of its own (guru meditation)",
    "stuck": "VirtualBox stopped the machine because of an error of its own (guru meditation)",
}
ENDED = {
    "poweroff": "the machine was shut down from inside, or somebody ended it (VBoxManage controlvm poweroff)",
    "aborted": "the machine's process ended all of a sudden: it was killed, or it crashed",
    "saved": "somebody saved the machine to disk and ended it (VBoxManage controlvm savestate)",
}


class VirtualBoxMonitor:
    """The view of a machine from outside: the file of its console, which VirtualBox writes, and VBoxManage's word."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def condition(self) -> Condition:
        """Return whether the machine runs, as VBoxManage tells."""
        answer = processes.run([PROGRAM, "showvminfo", self.name, "--machinereadable"], timeout_s=ASK_LIMIT_S)
        return condition(answer.ok, answer.output)

    def console_size(self) -> int:
        """Return the length of the console's output in bytes; 0 until the machine has written something."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def console_delay_s(self) -> float:
        """Return 0.0: VirtualBox writes the file that is looked at."""
        return 0.0

    def console(self) -> str:
        """Return the console's output so far."""
        return self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""

    def guest_seconds(self) -> float | None:
        """Return None: the guest's clock cannot be read."""
        return None

    def cpu_times(self) -> CpuTimes | None:
        """Return None: the threads of the vCPUs are not known."""
        return None

    def process_ids(self) -> tuple[int, ...]:
        """Return nothing: the machine's processes are not known."""
        return ()


def condition(ok: bool, output: str) -> Condition:
    """Return the condition in the output of `VBoxManage showvminfo --machinereadable`; unknown when it failed."""
    found = STATE.search(output)
    if not ok or found is None:
        gone = "Could not find a registered machine" in output
        return Condition("ended", "somebody removed the machine") if gone else SILENT
    state = found.group(1)
    if state in STANDS_STILL:
        return Condition("paused", STANDS_STILL[state])
    return Condition("ended", ENDED[state]) if state in ENDED else RUNNING


def names() -> list[str]:
    """Return the names of this user's machines. Raises HostError when VirtualBox does not answer."""
    result = processes.run([PROGRAM, "list", "vms"], timeout_s=LIMIT_S)
    if not result.ok:
        reason = result.output.strip() or f"no output within {LIMIT_S:g} s"
        raise HostError(f"VirtualBox does not answer: {reason}", hint=f"{PROGRAM} list vms")
    return re.findall(r'^"(.*)" \{', result.output, re.M)


def remove(name: str) -> None:
    """Stop a machine and delete it with its disks. Raises MachineError, with the commands to run, when it stays.

    Do nothing where VirtualBox is not installed: then nothing can be running.
    """
    if shutil.which(PROGRAM) is None or name not in names():
        return
    processes.run([PROGRAM, "controlvm", name, "poweroff"], timeout_s=LIMIT_S)
    until = time.monotonic() + UNLOCK_S
    result = processes.run([PROGRAM, "unregistervm", name, "--delete"], timeout_s=LIMIT_S)
    while not result.ok and time.monotonic() < until:
        time.sleep(0.5)
        result = processes.run([PROGRAM, "unregistervm", name, "--delete"], timeout_s=LIMIT_S)
    if name in names():
        raise MachineError(
            f"the VirtualBox machine {name!r} could not be removed: {' '.join(result.output.split())[-300:]}",
            hint=f"{PROGRAM} controlvm {name} poweroff; {PROGRAM} unregistervm {name} --delete",
        )
