"""A machine that a killed process left up, so that what it recorded can be fetched before it is removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import MachineError
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.guest.vigil import Vigil
from harness.machines import guest_clock, libvirt, registry
from harness.machines.libvirt_monitor import LibvirtMonitor
from harness.machines.pace import GuestPace
from harness.machines.vagrant import SSH_PORT, vagrant_for


def attach(entry: registry.Entry, facts: Mapping[str, Any]) -> tuple[Host, Monitor]:
    """Return how to reach a registered machine, and the view of it from outside.

    The machine is this process's from now on, so that no `harness down` removes it meanwhile. `facts` are its facts in
    the manifest. Raises MachineError when it does not run, and for a hypervisor other than libvirt.
    """
    if entry.hypervisor != "libvirt":
        raise MachineError("only from machines of libvirt can a recording be fetched later", where=entry.domain)
    if (state := libvirt.state(entry.domain)) != "running":
        raise MachineError(f"the machine does not run, it is {state or 'gone'}", where=entry.domain)
    folder = Path(entry.folder)
    registry.record(entry.domain, entry.hypervisor, folder)
    settings = _settings(folder)
    monitor = LibvirtMonitor(entry.domain, Path(settings["console"]), folder / "console.log")
    pace = GuestPace(guest_clock.SLOWER.get(facts.get("cpu_speed") or 0, 1.0))
    pace.follow(monitor.threads(), next(iter(monitor.process_ids()), None))
    host = _host(entry.domain, folder, settings, pace)
    host.vigil = Vigil(monitor, host.where)
    return host, monitor


def _host(domain: str, folder: Path, settings: Mapping[str, Any], pace: GuestPace) -> Host:
    name, known_hosts = settings["name"], folder / "known_hosts"
    if settings["ready_made"]:
        ssh = vagrant_for(folder).ssh_config()
        key = Path(ssh["IdentityFile"])
        return Host(ssh["HostName"], int(ssh["Port"]), ssh["User"], key, known_hosts, name, clock=pace)
    if not (address := libvirt.address(domain)):
        raise MachineError("the machine has no address", where=domain)
    return Host(address, SSH_PORT, "vagrant", folder / "key", known_hosts, name, clock=pace)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        return {key: settings[key] for key in ("name", "console", "ready_made")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MachineError(f"the settings of the machine cannot be read: {error}", where=str(path)) from None
