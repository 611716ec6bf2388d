"""VirtualBox through `VBoxManage`: list machines and remove one."""

from __future__ import annotations

import re
import shutil
import time

from harness import processes
from harness.errors import HostError, MachineError

PROGRAM = "VBoxManage"
LIMIT_S = 60.0
UNLOCK_S = 20.0  # a machine stays locked for a moment after it is powered off


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
