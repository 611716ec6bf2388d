"""Does KVM work here? Only a real boot tells: /dev/kvm may open, and a stock kernel hang under it all the same.

The probe boots a box's own kernel and disk (a throw-away snapshot of it) under `-accel kvm` and waits for the sign
that SSH is up. It costs a few seconds, more where KVM hangs, so the answer is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import paths, processes
from harness.boxes import Box
from harness.errors import MachineError
from harness.files import make_folder, write_atomic
from harness.progress import Watcher

DEVICE = Path("/dev/kvm")
LIMIT_S = 60.0
ASK_AGAIN_S = 7 * 86_400.0  # a "no" is not for ever
QUIET_S = 8.0  # a kernel that runs says something long before that
QEMU = "qemu-system-x86_64"


@dataclass(frozen=True)
class ProbeResult:
    """Whether a guest boots under KVM here, why that is believed, and when it was found out."""

    works: bool
    reason: str
    seconds: float = 0.0
    when: float = 0.0


class _Booted(Exception):
    """The sign was seen; the guest may go."""


def choose(asked: str, box: Box | None, log: Path, watcher: Watcher) -> tuple[str, str]:
    """`kvm` or `tcg`, and why. Raises MachineError when `kvm` was asked for and does not work.

    `box` is None for a ready-made box, which has no kernel to probe with: then any earlier answer of this host counts.
    """
    if asked == "tcg":
        return "tcg", "asked for"
    answer = remembered(box) or (probe(box, log, watcher) if box else _unknown())
    if answer.works:
        return "kvm", answer.reason
    if asked == "kvm":
        raise MachineError(
            f"KVM was asked for and does not work on this host: {answer.reason}",
            hint="set machine.accelerator to auto or tcg; `harness doctor` shows what was found",
            log=log,
        )
    return "tcg", answer.reason


def remembered(box: Box | None) -> ProbeResult | None:
    """The kept answer for this host and this box; for None, the latest of this host. The device is looked at anew."""
    if missing := _no_device():
        return missing
    kept = _load()
    if box:
        told = kept.get(key(box.digest))
    else:
        told = max((one for name, one in kept.items() if name.startswith(_host())), key=_when, default=None)
    return _fresh(told) if told else None


def _fresh(told: dict[str, Any]) -> ProbeResult | None:
    """A kept answer, unless it is damaged, or a "no" of long ago: a busy host may have kept the guest waiting."""
    try:
        answer = ProbeResult(**told)
    except TypeError:
        return None
    return answer if answer.works or time.time() - answer.when < ASK_AGAIN_S else None


def probe(box: Box, log: Path, watcher: Watcher) -> ProbeResult:
    """Boot the box under KVM, for at most LIMIT_S, and remember what came of it."""
    watcher.note("finding out whether KVM works: booting the box under it once")
    started = time.monotonic()
    works, reason = _boot(box, log)
    answer = ProbeResult(works, reason, round(time.monotonic() - started, 1), time.time())
    _keep(key(box.digest), answer)
    return answer


def command(box: Box) -> list[str]:
    """QEMU with one CPU under KVM, its console on standard output, nothing written to the box, no network."""
    return [
        QEMU, "-accel", "kvm", "-cpu", "host", "-m", "512", "-smp", "1", "-nodefaults", "-display", "none",
        "-no-reboot", "-serial", "stdio", "-nic", "none", "-device", "virtio-rng-pci",
        "-kernel", str(box.vmlinuz), "-initrd", str(box.initrd), "-append", box.cmdline,
        "-drive", f"file={str(box.image).replace(',', ',,')},if=virtio,format=qcow2,snapshot=on",
    ]  # fmt: skip


def key(digest: str) -> str:
    """What an answer holds for: this kernel, this CPU model, this QEMU, this box."""
    return f"{_host()}/{digest[:12]}"


def _boot(box: Box, log: Path) -> tuple[bool, str]:
    def look(line: str) -> None:
        if "harness-ready" in line or re.search(r"login:", line):
            raise _Booted

    try:
        ended = processes.run(command(box), timeout_s=LIMIT_S, quiet_s=QUIET_S, log=log, on_line=look)
    except _Booted:
        return True, "a real boot under KVM came up"
    if not ended.timed_out:
        return False, f"QEMU ended with {ended.exit_code}: {(ended.output.strip().splitlines() or ['no output'])[-1]}"
    said = "did not come up" if ended.output.strip() else "printed nothing"
    return False, f"/dev/kvm opens, but a guest under it {said} in {ended.seconds:.0f} s"


def _no_device() -> ProbeResult | None:
    if not DEVICE.exists():
        return ProbeResult(False, "there is no /dev/kvm")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return ProbeResult(False, "this user may not open /dev/kvm; join the group kvm and log in again")
    if shutil.which(QEMU) is None:
        return ProbeResult(False, f"{QEMU} is not installed")
    return None


def _unknown() -> ProbeResult:
    return ProbeResult(False, "no box was booted under KVM here yet; `harness box build debian-12` and a run find out")


def _host() -> str:
    """A short name of what an answer depends on besides the box: kernel, CPU model, the QEMU binary."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    qemu = shutil.which(QEMU)
    parts = (platform.release(), found.group(1) if found else "", str(os.stat(qemu).st_mtime_ns) if qemu else "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _path() -> Path:
    return paths.state_dir() / "kvm.json"


def _load() -> dict[str, dict[str, Any]]:
    """What is kept; a damaged file counts as nothing, since the probe can be done again."""
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep(name: str, answer: ProbeResult) -> None:
    make_folder(_path().parent)
    write_atomic(_path(), json.dumps({**_load(), name: asdict(answer)}, indent=1))


def _when(told: dict[str, Any]) -> float:
    return float(told.get("when", 0.0))
