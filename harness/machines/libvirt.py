"""libvirt through `virsh`: check its services, list and remove domains and volumes, copy files into the pool."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness import processes
from harness.errors import HostError, MachineError
from harness.files import atomic_path
from harness.guest.monitor import RUNNING, Condition

URI = "qemu:///system"
POOL = "default"
NETWORK = "default"
LIMIT_S = 60.0
CHECK_LIMIT_S = 20.0
UPLOAD_LIMIT_S = 300.0
ASK_LIMIT_S = 4.0  # for what is asked again and again: a stopped QEMU never answers, and a pause is to be seen soon
RESTART_S = 30.0  # for a daemon that starts again
NO_DAEMON = re.compile(
    r"failed to connect|Cannot (recv|write) data|End of file while reading data|client socket is closed"
)
TURNED_OVER = re.compile(r"(harness-.*)-console\.log\.\d+")  # libvirt's log daemon keeps three of them, of 2 MB each
MACHINE_DISK = re.compile(r"harness-(?!.*_vagrant_box_image_).*\.(img|qcow2)")

RUNS = ("running", "idle", "blocked", "in shutdown")  # the states of `virsh domstate`
STARTING = "paused (starting up)"
PAUSES = ("paused", "pmsuspended")
ENDS = ("shut off", "crashed")
WHY = {
    "paused (user)": "somebody paused the machine (virsh suspend)",
    "paused (I/O error)": "QEMU paused the machine, because its disk could not be written: is this host's disk full?",
    "paused (watchdog)": "QEMU paused the machine, because the guest's watchdog ran out",
    "paused (crashed)": "the kernel of the guest panicked",
    "pmsuspended": "the guest suspended itself",
    "crashed": "the kernel of the guest panicked",
    "shut off (shutdown)": "the guest shut down or rebooted, or QEMU was told to end by a signal",
    "shut off (destroyed)": "somebody ended the machine (virsh destroy)",
    "shut off (crashed)": "the machine's QEMU ended all of a sudden: it was killed, or it crashed",
    "shut off (failed)": "the machine's QEMU failed",
    "shut off (saved)": "somebody saved the machine to disk and ended it (virsh managedsave)",
}
REMOVED = Condition("ended", "somebody removed the machine: libvirt does not know it any more")
SILENT = Condition("unknown", "libvirtd does not answer; going on without it")


@dataclass(frozen=True)
class Service:
    """One part of libvirt that machines need, and the last line that virsh printed about it."""

    name: str  # "libvirtd", "libvirt network" or "libvirt pool"
    ok: bool
    last_line: str


def virsh(*args: str, timeout_s: float = LIMIT_S) -> processes.ProcessResult:
    """Run one virsh command; the result says whether it failed."""
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    return processes.run(["virsh", "-q", "-c", URI, *args], timeout_s=timeout_s, env=env)


def services() -> Iterator[Service]:
    """Check libvirtd, its network and its pool, in this order; nothing after libvirtd when it does not answer."""
    answer = virsh("uri", timeout_s=CHECK_LIMIT_S)
    yield Service("libvirtd", answer.ok, _last_line(answer.output))
    if answer.ok:
        for kind, args in (("network", ["net-info", NETWORK]), ("pool", ["pool-info", POOL])):
            info = virsh(*args, timeout_s=CHECK_LIMIT_S)
            active = re.search(r"^(Active|State):\s+(yes|running)", info.output, re.M) is not None
            yield Service(f"libvirt {kind}", info.ok and active, _last_line(info.output))


def check() -> None:
    """Raise HostError unless libvirtd answers and has an active network and an active pool."""
    for service in services():
        if not service.ok:
            inactive = f"the {service.name} 'default' is not active"
            problem = "libvirtd does not answer" if service.name == "libvirtd" else inactive
            raise HostError(
                f"{problem}: {service.last_line}",
                where=URI,
                hint="./setup.sh starts it; without root, be in the group libvirt (log in again after joining)",
            )


def network_address() -> str:
    """Return the address of the network of the machines, as NETWORK/PREFIX. Raises HostError when it has none."""
    result = virsh("net-dumpxml", NETWORK)
    ip = ElementTree.fromstring(result.output).find("ip") if result.ok else None
    if ip is None or "address" not in ip.attrib:
        raise HostError(f"the libvirt network {NETWORK!r} has no IPv4 address", hint="./setup.sh defines it")
    mask = ip.get("netmask") or ip.get("prefix") or "24"
    return str(ipaddress.ip_network(f"{ip.get('address')}/{mask}", strict=False))


def hypervisor_version() -> str:
    """Return the hypervisor and its version, such as `QEMU 7.2.22`."""
    match = re.search(r"Running hypervisor:\s*(.+)", virsh("version").output)
    return match.group(1).strip() if match else "unknown"


def domains() -> list[str]:
    """Return the names of all domains, running or not. Raises HostError when libvirtd does not answer."""
    return _output_of("list", "--all", "--name").split()


def volumes() -> list[str]:
    """Return the names of the volumes in the pool. Raises HostError when libvirtd does not answer."""
    return [line.split()[0] for line in _output_of("vol-list", POOL).splitlines() if line.strip()]


def volume_path(name: str) -> str:
    """Return the path of a volume. Raises MachineError when there is no such volume."""
    result = virsh("vol-path", "--pool", POOL, name)
    if not result.ok:
        raise MachineError(f"the volume {name!r} is not in the libvirt pool {POOL!r}: {result.output.strip()}")
    return result.output.strip()


def address(domain: str) -> str | None:
    """Return the IPv4 address that a domain leased from libvirt's network, None when it has none."""
    leased = re.search(r"\bipv4\s+([0-9.]+)/", virsh("domifaddr", domain, "--source", "lease").output)
    return leased.group(1) if leased else None


def state(domain: str) -> str:
    """Return the state of a domain, such as `running` or `shut off`; empty when there is no such domain."""
    answer = virsh("domstate", domain)
    return answer.output.strip() if answer.ok else ""


def condition(domain: str) -> Condition:
    """Return whether a domain runs, as libvirt sees it, and what became of it if not.

    That it is gone is looked up again: virsh says the same when libvirtd ends in the middle of the question.
    """
    answer = virsh("domstate", "--reason", domain, timeout_s=ASK_LIMIT_S)
    told = condition_of(answer.ok, answer.output)
    if told is not REMOVED:
        return told
    listed = virsh("list", "--all", "--name", timeout_s=ASK_LIMIT_S)
    return REMOVED if listed.ok and domain not in listed.output.split() else SILENT


def condition_of(ok: bool, output: str) -> Condition:
    """Return the condition in the answer of `virsh domstate --reason`; unknown when there was none."""
    text = " ".join(output.split())
    if not ok:
        return REMOVED if "failed to get domain" in text else SILENT
    state = text.partition(" (")[0]
    if state in RUNS or text == STARTING:
        return RUNNING
    why = WHY.get(text) or WHY.get(state) or f"the machine does not run: libvirt says `{text}`"
    if state in PAUSES and text != "paused (crashed)":
        return Condition("paused", why)
    return Condition("ended" if state in (*PAUSES, *ENDS) else "unknown", why)


def disk_volume(domain: str) -> str:
    """Return the name of the volume that is the first disk of a domain. Raises MachineError when it has none."""
    listed = re.search(r"^\s*vda\s+(\S.*\S)\s*$", virsh("domblklist", domain).output, re.M)
    if listed is None:
        raise MachineError("the machine has no disk", where=domain)
    return Path(listed.group(1)).name


def console_volume(domain: str) -> str:
    """Make an empty volume for the serial console of `domain` and return its path.

    libvirt's log daemon replaces it with a file that only root may read. Because it is a volume, every user of libvirt
    can download it (`fetch_console`), and it is removed with the domain, as are the parts `.0`, `.1` and `.2` that the
    daemon puts aside when it grows.
    """
    made = virsh("vol-create-as", POOL, f"{domain}-console.log", "0", "--format", "raw")
    if not made.ok:
        raise HostError(f"the file for the serial console cannot be made in the pool {POOL!r}: {made.output.strip()}")
    return volume_path(f"{domain}-console.log")


def fetch_console(domain: str, target: Path) -> str:
    """Copy the serial console's output so far to `target`; return why it failed, in virsh's words, empty if not."""
    with atomic_path(target) as part:
        copied = virsh("vol-download", "--pool", POOL, f"{domain}-console.log", str(part))
        if not copied.ok:
            part.unlink(missing_ok=True)
    return "" if copied.ok else _last_line(copied.output)


def ask_qemu(domain: str, command: Mapping[str, Any], timeout_s: float = ASK_LIMIT_S) -> Any:
    """Send one QMP command to the QEMU of `domain` and return what it returns; None when it does not answer."""
    answer = virsh("qemu-monitor-command", domain, json.dumps(command), timeout_s=timeout_s)
    try:
        reply = json.loads(answer.output) if answer.ok else None
    except (ValueError, RecursionError):
        return None
    return reply.get("return") if isinstance(reply, dict) else None


def overlays(bases: Collection[str]) -> list[str]:
    """Return the volumes in the pool that are overlays on one of `bases`: the disks of machines made from them.

    Each disk costs one call of virsh. The copies of boxes, of which a pool may have many, are no disks of machines.
    """
    return [name for name in volumes() if MACHINE_DISK.fullmatch(name) and _backing_file(name) in bases]


def ensure_volume(name: str, source: Path, *, image_format: str, capacity: str) -> str:
    """Make sure that the pool has a complete copy of `source`, and return the copy's path.

    Uploads go from the first byte to the last, so a volume as long as its source is complete. Raises HostError.
    """
    size = source.stat().st_size
    if volume_size(name) != size:
        virsh("vol-delete", "--pool", POOL, name)
        made = virsh("vol-create-as", POOL, name, capacity, "--format", image_format)
        sent = virsh("vol-upload", "--pool", POOL, name, str(source), timeout_s=UPLOAD_LIMIT_S) if made.ok else made
        if not sent.ok or volume_size(name) != size:
            virsh("vol-delete", "--pool", POOL, name)
            raise HostError(
                f"{name} could not be copied into the libvirt pool {POOL!r}: {sent.output.strip()}",
                expected=f"{size / 1e6:.0f} MB of space in the pool's folder",
            )
    return volume_path(name)


def remove_domain(name: str) -> None:
    """Stop and undefine a domain and delete its volumes. Raises MachineError when it is still there afterwards."""
    if name in domains():
        virsh("destroy", name)
        for extra in (["--nvram", "--managed-save", "--snapshots-metadata"], []):
            if virsh("undefine", name, *extra).ok:
                break
    if _has_turned_over_console(name):
        refresh_pool()
    of_domain = re.compile(re.escape(name) + r"(-console\.log(\.\d+)?|(-vd[a-z])?\.(img|qcow2))")
    remove_volumes(volume for volume in volumes() if of_domain.fullmatch(volume))
    if name in domains():
        raise MachineError(
            f"the machine {name!r} could not be removed",
            hint=f"virsh -c {URI} destroy {name}; virsh -c {URI} undefine {name}",
        )


def remove_left_consoles() -> None:
    """Delete the old parts of consoles in the pool whose machines are gone. Raises HostError without a libvirtd."""
    known = set(domains())  # before the volumes: a machine that starts meanwhile has no old parts yet
    parts = [match for name in volumes() if (match := TURNED_OVER.fullmatch(name))]
    remove_volumes(part[0] for part in parts if part[1] not in known)


def refresh_pool() -> None:
    """Let libvirt look for files in the pool's folder that it did not make itself."""
    virsh("pool-refresh", POOL)


def _has_turned_over_console(domain: str) -> bool:
    """Return whether the log daemon put old parts of a console beside its volume; True if the folder is closed."""
    found = virsh("vol-path", "--pool", POOL, f"{domain}-console.log")
    path = found.output.strip()
    return found.ok and (os.path.exists(f"{path}.0") or not os.path.exists(path))


def remove_volumes(names: Iterable[str]) -> None:
    """Delete these volumes; ignore those that do not exist."""
    for name in names:
        virsh("vol-delete", "--pool", POOL, name)


def _output_of(*args: str) -> str:
    """Return the output of virsh; raise HostError when it fails, so that no failure looks like an empty list.

    A daemon that starts again is waited for: a machine is not left behind because libvirtd was updated meanwhile.
    """
    until = time.monotonic() + RESTART_S
    while not (result := virsh(*args)).ok and NO_DAEMON.search(result.output) and time.monotonic() < until:
        time.sleep(1.0)
    if not result.ok:
        raise HostError(f"libvirtd does not answer: {result.output.strip()}", where=URI, hint="./setup.sh starts it")
    return result.output


def _last_line(output: str) -> str:
    return ([line.strip() for line in output.splitlines() if line.strip()] or ["no output"])[-1]


def _backing_file(name: str) -> str | None:
    result = virsh("vol-dumpxml", "--pool", POOL, name)
    path = ElementTree.fromstring(result.output).findtext("backingStore/path") if result.ok else None
    return Path(path).name if path else None


def volume_size(name: str) -> int | None:
    """Return the length of a volume's file in bytes, None when there is no such volume."""
    result = virsh("vol-dumpxml", "--pool", POOL, name)
    physical = ElementTree.fromstring(result.output).find("physical") if result.ok else None
    return int(physical.text) if physical is not None and physical.text else None
