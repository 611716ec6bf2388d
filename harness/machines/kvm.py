"""Find out whether KVM works on this host. Only a real boot proves it: on some hosts /dev/kvm opens and a guest hangs.

The probe boots the kernel and a temporary snapshot of the disk of a box under `-accel kvm`, and waits on the serial
console for the box's line that SSH is up, or for a login prompt. This takes a few seconds, more where KVM hangs, so the
result is kept. Its limits stand still while a busy host keeps QEMU waiting.
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
from harness.machines import schedstat
from harness.machines.pace import GuestPace
from harness.progress import Watcher

DEVICE = Path("/dev/kvm")
LIMIT_S = 60.0  # in the pace of the guest, as QUIET_S
PROBE_AGAIN_S = 7 * 86_400.0  # a negative result is discarded after this time
QUIET_S = 8.0  # a kernel that runs prints its first line long before that
QEMU = "qemu-system-x86_64"


@dataclass(frozen=True)
class ProbeResult:
    """Whether a guest boots under KVM here and why; the probe took `seconds` and finished at `when` (Unix time)."""

    works: bool
    reason: str
    seconds: float = 0.0
    when: float = 0.0


class _Booted(Exception):
    """The guest has booted and can be stopped."""


def choose(accelerator: str, box: Box | None, log: Path, watcher: Watcher) -> tuple[str, str]:
    """Return `kvm` or `tcg` for the wanted accelerator (`auto`, `kvm` or `tcg`), and the reason.

    `box` is None for a ready-made box, which has no kernel to probe with; the newest result of this host is used.
    Raises MachineError when `kvm` is wanted and does not work.
    """
    if accelerator == "tcg":
        return "tcg", "set by machine.accelerator"
    result = remembered(box) or (probe(box, log, watcher) if box else _unknown())
    if result.works:
        return "kvm", result.reason
    if accelerator == "kvm":
        raise MachineError(
            f"KVM was asked for and does not work on this host: {result.reason}",
            hint="set machine.accelerator to auto or tcg; `harness doctor` shows the result of the probe",
            log=log,
        )
    return "tcg", result.reason


def remembered(box: Box | None) -> ProbeResult | None:
    """Return the kept result for this host and `box`, or the newest for this host if None; check /dev/kvm first."""
    if missing := _no_device():
        return missing
    kept = _load()
    if box:
        entry = kept.get(_key(box.base_digest))
    else:
        of_host = (entry for name, entry in kept.items() if name.startswith(_host()))
        entry = max(of_host, key=lambda entry: float(entry.get("when", 0.0)), default=None)
    return _valid_result(entry) if entry else None


def _valid_result(entry: dict[str, Any]) -> ProbeResult | None:
    """Return a kept result, None when it is damaged or an old "no": a busy host may have slowed the guest down."""
    try:
        result = ProbeResult(**entry)
    except TypeError:
        return None
    return result if result.works or time.time() - result.when < PROBE_AGAIN_S else None


def probe(box: Box, log: Path, watcher: Watcher) -> ProbeResult:
    """Boot the box under KVM, for at most LIMIT_S, and keep the result."""
    watcher.note("finding out whether KVM works: booting the box under it once")
    started = time.monotonic()
    works, reason = _boot(box, log)
    result = ProbeResult(works, reason, round(time.monotonic() - started, 1), time.time())
    make_folder(_path().parent)
    write_atomic(_path(), json.dumps({**_load(), _key(box.base_digest): asdict(result)}, indent=1))
    return result


def command(box: Box) -> list[str]:
    """Return the QEMU command: one CPU under KVM, the console on standard output, no writes to the box, no network."""
    return [
        QEMU, "-accel", "kvm", "-cpu", "host", "-m", "512", "-smp", "1", "-nodefaults", "-display", "none",
        "-no-reboot", "-serial", "stdio", "-nic", "none", "-device", "virtio-rng-pci",
        "-kernel", str(box.vmlinuz), "-initrd", str(box.initrd), "-append", box.cmdline,
        "-drive", f"file={str(box.image).replace(',', ',,')},if=virtio,format=qcow2,snapshot=on",
    ]  # fmt: skip


def _key(digest: str) -> str:
    """Return the name under which a result is kept; it depends on the kernel, CPU model, QEMU and box."""
    return f"{_host()}/{digest[:12]}"


def _boot(box: Box, log: Path) -> tuple[bool, str]:
    def stop_when_booted(line: str) -> None:
        if "harness-ready" in line or re.search(r"login:", line):
            raise _Booted

    pace = GuestPace(
        times=schedstat.longest
    )  # or a guest that a busy host keeps waiting would look like one that hangs
    try:
        result = processes.run(
            command(box),
            timeout_s=LIMIT_S,
            quiet_s=QUIET_S,
            log=log,
            on_line=stop_when_booted,
            clock=pace,
            on_start=lambda pid: pace.follow([pid], None),
        )
    except _Booted:
        return True, "a real boot under KVM came up"
    if not result.timed_out:
        return False, f"QEMU ended with {result.exit_code}: {(result.output.strip().splitlines() or ['no output'])[-1]}"
    symptom = "did not come up" if result.output.strip() else "printed nothing"
    return False, f"/dev/kvm opens, but a guest under it {symptom} in {result.seconds:.0f} s"


def _no_device() -> ProbeResult | None:
    if not DEVICE.exists():
        return ProbeResult(False, "there is no /dev/kvm")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return ProbeResult(False, "this user may not open /dev/kvm; join the group kvm and log in again")
    if shutil.which(QEMU) is None:
        return ProbeResult(False, f"{QEMU} is not installed")
    return None


def _unknown() -> ProbeResult:
    return ProbeResult(False, "no box was booted under KVM here yet; a run with the box debian-12 finds out")


def _host() -> str:
    """Return a short hash of what a result depends on besides the box: kernel, CPU model, the QEMU binary."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    qemu = shutil.which(QEMU)
    parts = (platform.release(), model.group(1) if model else "", str(os.stat(qemu).st_mtime_ns) if qemu else "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _path() -> Path:
    return paths.state_dir() / "kvm.json"


def _load() -> dict[str, dict[str, Any]]:
    """Return the kept results; a damaged file counts as empty, since the probe can be run again."""
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
