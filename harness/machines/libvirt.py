"""The few things asked of libvirt directly, through `virsh`: is it there, which volumes and domains, remove them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from harness import processes
from harness.errors import HostError, MachineError
from harness.files import atomic_path

URI = "qemu:///system"
POOL = "default"
NETWORK = "default"
LIMIT_S = 60.0
UPLOAD_LIMIT_S = 300.0


def virsh(*args: str, timeout_s: float = LIMIT_S) -> processes.Ended:
    """Run one virsh command; a failure is in the result."""
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    return processes.run(["virsh", "-q", "-c", URI, *args], timeout_s=timeout_s, env=env)


def check() -> None:
    """Raises HostError unless libvirtd answers and has an active network and an active pool."""
    for name, args in (("libvirtd", ["uri"]), ("network", ["net-info", NETWORK]), ("pool", ["pool-info", POOL])):
        ended = virsh(*args, timeout_s=20)
        active = name == "libvirtd" or re.search(r"^(Active|State):\s+(yes|running)", ended.output, re.M)
        if not ended.ok or not active:
            what = "libvirtd does not answer" if name == "libvirtd" else f"the libvirt {name} 'default' is not active"
            raise HostError(
                f"{what}: {ended.output.strip().splitlines()[-1] if ended.output.strip() else 'no output'}",
                where=URI,
                hint="./setup.sh starts it; without root, be in the group libvirt (log in again after joining)",
            )


def network_address() -> str:
    """The address of the network machines are in, as NETWORK/PREFIX. Raises HostError when it has none."""
    ended = virsh("net-dumpxml", NETWORK)
    found = ElementTree.fromstring(ended.output).find("ip") if ended.ok else None
    if found is None or "address" not in found.attrib:
        raise HostError(f"the libvirt network {NETWORK!r} has no IPv4 address", hint="./setup.sh defines it")
    mask = found.get("netmask") or found.get("prefix") or "24"
    return str(ipaddress.ip_network(f"{found.get('address')}/{mask}", strict=False))


def hypervisor_version() -> str:
    """What runs the machines, such as `QEMU 7.2.22`."""
    found = re.search(r"Running hypervisor:\s*(.+)", virsh("version").output)
    return found.group(1).strip() if found else "unknown"


def domains() -> list[str]:
    """The names of all domains, running or not. Raises HostError when libvirtd does not answer."""
    return _answer("list", "--all", "--name").split()


def volumes() -> list[str]:
    """The names of the volumes in the pool. Raises HostError when libvirtd does not answer."""
    return [line.split()[0] for line in _answer("vol-list", POOL).splitlines() if line.strip()]


def volume_path(name: str) -> str:
    """Where a volume lies. Raises MachineError when it is not there."""
    ended = virsh("vol-path", "--pool", POOL, name)
    if not ended.ok:
        raise MachineError(f"the volume {name!r} is not in the libvirt pool {POOL!r}: {ended.output.strip()}")
    return ended.output.strip()


def console_volume(domain: str) -> str:
    """Make an empty volume for the serial console of `domain` and return its path.

    libvirt's log daemon replaces it with a file that only root may read; as a volume, whoever may use libvirt may
    fetch it (`fetch_console`), and it goes with the domain.
    """
    made = virsh("vol-create-as", POOL, f"{domain}-console.log", "0", "--format", "raw")
    if not made.ok:
        raise HostError(f"no file for the serial console could be made in the pool {POOL!r}: {made.output.strip()}")
    return volume_path(f"{domain}-console.log")


def fetch_console(domain: str, target: Path) -> None:
    """Copy what the serial console showed so far to `target`; nothing happens when there is no such volume."""
    with atomic_path(target) as part:
        if not virsh("vol-download", "--pool", POOL, f"{domain}-console.log", str(part)).ok:
            part.unlink(missing_ok=True)


def ensure_volume(name: str, source: Path, *, form: str, capacity: str) -> str:
    """Have a copy of `source` in the pool and return its path; a copy cut short by a kill is made again.

    Uploads go from the first byte to the last, so a volume as long as its source is whole.
    """
    size = source.stat().st_size
    if _volume_size(name) != size:
        virsh("vol-delete", "--pool", POOL, name)
        made = virsh("vol-create-as", POOL, name, capacity, "--format", form)
        sent = virsh("vol-upload", "--pool", POOL, name, str(source), timeout_s=UPLOAD_LIMIT_S) if made.ok else made
        if not sent.ok or _volume_size(name) != size:
            virsh("vol-delete", "--pool", POOL, name)
            raise HostError(
                f"{source.name} could not be copied into the libvirt pool {POOL!r}: {sent.output.strip()}",
                expected=f"{size / 1e6:.0f} MB of space in the pool's folder",
            )
    return volume_path(name)


def remove_domain(name: str) -> None:
    """Stop and forget a domain and its volumes. Raises MachineError when it is still there afterwards."""
    if name in domains():
        virsh("destroy", name)
        for extra in (["--nvram", "--managed-save", "--snapshots-metadata"], []):
            if virsh("undefine", name, *extra).ok:
                break
    own = re.compile(re.escape(name) + r"(-console\.log|(-vd[a-z])?\.(img|qcow2))")
    remove_volumes(volume for volume in volumes() if own.fullmatch(volume))
    if name in domains():
        raise MachineError(
            f"the machine {name!r} could not be removed",
            hint=f"virsh -c {URI} destroy {name}; virsh -c {URI} undefine {name}",
        )


def remove_volumes(names: Iterable[str]) -> None:
    """Delete these volumes; one that is already gone is no matter."""
    for name in names:
        virsh("vol-delete", "--pool", POOL, name)


def _answer(*args: str) -> str:
    """What virsh printed; a list that could not be had is not an empty list."""
    ended = virsh(*args)
    if not ended.ok:
        raise HostError(f"libvirtd does not answer: {ended.output.strip()}", where=URI, hint="./setup.sh starts it")
    return ended.output


def _volume_size(name: str) -> int | None:
    """The length of a volume's file in bytes, or None when there is none."""
    ended = virsh("vol-dumpxml", "--pool", POOL, name)
    found = ElementTree.fromstring(ended.output).find("physical") if ended.ok else None
    return int(found.text) if found is not None and found.text else None
