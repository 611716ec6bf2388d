"""A virtual machine through Vagrant. Each campaign has its own VM, which no other campaign touches."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.boxes import Box, names, recipe, require_unchanged
from harness.errors import HostError, LostMachineError, MachineError, RemoteError
from harness.files import write_atomic
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.guest.vigil import Vigil
from harness.interrupt import defer_stop_signals
from harness.machines import (
    boot_console,
    box_install,
    guest_clock,
    guest_kernel,
    hostkey,
    kvm,
    libvirt,
    machine_settings,
    placement,
    registry,
    virtualbox,
)
from harness.machines.guest_clock import GuestClock
from harness.machines.libvirt_monitor import LibvirtMonitor
from harness.machines.pace import GuestPace
from harness.machines.vagrant_cli import VagrantCli
from harness.machines.virtualbox import VirtualBoxMonitor
from harness.progress import Watcher
from harness.spec import MachineSpec

# In the guest's pace (pace.py).
BOOT_LIMIT_S = {"kvm": 180.0, "tcg": 420.0}  # from power-on to SSH; measured: a few seconds, about 30 s
START_LIMIT_S = 300.0  # for Vagrant's own work before and after the boot
DOWNLOAD_LIMIT_S = 1800.0  # the same, with the download of a ready-made box
CHECK_LIMIT_S = 60.0
SSH_PORT = 22


class VagrantMachine:
    """One VM. `box` is a built box, or the name of a ready-made one; `folder`, in the run folder, is for this VM alone.

    It holds settings.json, box.json, key, key.pub, known_hosts, vagrant.log, console.log, kvm.log and Vagrant's state.
    """

    def __init__(self, spec: MachineSpec, box: Box | str, folder: Path, name: str) -> None:
        self.spec, self.box, self.folder, self.name = spec, box, folder, name
        self._built = box if isinstance(box, Box) else None
        self._domain: str | None = None
        self._facts: dict[str, Any] = {}
        self._monitor: Monitor | None = None
        self._pace = GuestPace()
        self._clock, self._placement = "host", "left to the hypervisor"

    @property
    def log(self) -> Path:
        """The log of all of Vagrant's output."""
        return self.folder / "vagrant.log"

    @property
    def console(self) -> Path:
        """The log of the machine's serial console."""
        return self.folder / "console.log"

    def __enter__(self) -> VagrantMachine:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self, watcher: Watcher) -> list[Host]:
        """Start the VM, wait for SSH, check its CPUs and kernel.

        An earlier VM of the same folder, left by a killed run, is removed first. Raises HostError or MachineError,
        LostMachineError when it ended or was paused meanwhile, and leaves no VM behind; DamagedBoxError, before
        anything starts, when a part of the box is not as it was built.
        """
        self._prepare()
        self.down()
        try:
            host = self._start(watcher)
            self._check(host, watcher)
        except BaseException:
            with defer_stop_signals():
                self.down()
            raise
        return [host]

    def down(self) -> None:
        """Remove the VM and its disk. Raises MachineError when it is still there afterwards.

        The console is copied first; if that fails, the error is raised once the VM is removed.
        """
        try:
            self._fetch_console()
        finally:
            for entry in registry.in_folder(self.folder):
                remove(entry)
            self._domain = self._monitor = None

    def facts(self) -> dict[str, Any]:
        """Return guest kernel and CPUs, accelerator and why, hypervisor, box name and digest; empty before `up`."""
        return dict(self._facts)

    def monitor(self) -> Monitor:
        """Return the view of the VM from outside. Raises MachineError before `up`."""
        if self._monitor is None:
            raise MachineError("the machine is not up", where=self._domain or self.name, hint="call `up` first")
        return self._monitor

    @staticmethod
    def check_engine(spec: MachineSpec) -> None:
        """Raise HostError unless Vagrant is installed and libvirt, if it is to run the VM, answers."""
        if shutil.which("vagrant") is None:
            raise HostError("the program 'vagrant' is not installed", hint="./setup.sh installs what is missing")
        if spec.hypervisor == "libvirt":
            libvirt.check()

    def _prepare(self) -> None:
        self.check_engine(self.spec)
        if self._built:
            require_unchanged(self._built)
            guest_kernel.require_of_box(self._built.name, self._built.kernel, self.spec)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _start(self, watcher: Watcher) -> Host:
        started = time.monotonic()
        accelerator, why = self._accelerator(watcher)
        clock = guest_clock.choose(self.spec, accelerator)
        self._clock = clock.kind
        prefix = f"harness-{secrets.token_hex(4)}-"
        self._domain = prefix + self.name
        vagrant = vagrant_for(self.folder)
        registry.record(self._domain, self.spec.hypervisor, self.folder)
        settings = machine_settings.settings(self.spec, self.box, self.folder, prefix, self.name, accelerator, clock)
        self._write(settings)
        if self._built:
            watcher.note(f"handing the box {self._built.name} to Vagrant and libvirt")
            pool = box_install.install(self._built, vagrant)
            settings |= machine_settings.direct_boot(self.spec, self._built, pool, self.folder)
            self._write(settings)
        self._pace, self._monitor = GuestPace(clock.slower), self._make_monitor(settings["console"])
        host = self._power_on(vagrant, accelerator, watcher)
        self._facts = self._describe(accelerator, why, clock) | {"up_seconds": round(time.monotonic() - started, 1)}
        return host

    def _describe(self, accelerator: str, why: str, clock: GuestClock) -> dict[str, Any]:
        built = self._built
        on_libvirt = self.spec.hypervisor == "libvirt"
        return {
            "domain": self._domain,
            "box": built.name if built else str(self.box),
            "box_digest": built.base_digest if built else None,
            "memory_mb": self.spec.memory_mb,
            "hypervisor": self.spec.hypervisor,
            "hypervisor_version": libvirt.hypervisor_version() if on_libvirt else None,
            "accelerator": accelerator,
            "accelerator_reason": why,
            "clock": clock.kind,
            "clock_reason": clock.reason,
            "cpu_speed": clock.cpu_speed,
            "vcpu_placement": self._placement,
            "host_key": "printed on the serial console" if built else "pinned on the first connection",
        }

    def _write(self, settings: dict[str, Any]) -> None:
        write_atomic(self.folder / "settings.json", json.dumps(settings, indent=1))

    def _accelerator(self, watcher: Watcher) -> tuple[str, str]:
        if self.spec.hypervisor == "virtualbox":
            return "virtualbox", "VirtualBox chooses for itself"
        if self.spec.clock == "counted":
            return "tcg", "the counted clock needs an emulated CPU"
        return kvm.choose(self.spec.accelerator, self._built, self.folder / "kvm.log", watcher)

    def _make_monitor(self, console: str) -> Monitor:
        if self._domain and self.spec.hypervisor == "libvirt":
            return LibvirtMonitor(self._domain, Path(console), self.console)
        return VirtualBoxMonitor(self.console, str(self._domain))

    def _power_on(self, vagrant: VagrantCli, accelerator: str, watcher: Watcher) -> Host:
        boot = BOOT_LIMIT_S.get(accelerator, BOOT_LIMIT_S["tcg"])
        limit_s = boot + (START_LIMIT_S if self._built else DOWNLOAD_LIMIT_S)
        watcher.note(f"starting the machine ({accelerator})")
        vigil = Vigil(self.monitor(), str(self._domain), runs=False, reads_console=False)
        vigil.tell = watcher.warn

        def on_line(line: str) -> None:
            _note_progress(line, watcher)
            self._follow()

        try:
            vagrant.up(self.spec.hypervisor, limit_s=limit_s, on_line=on_line, clock=self._pace, give_up=vigil.lost)
            host = self._host(vagrant, boot, watcher, vigil)
            host.vigil = Vigil(self.monitor(), host.where)
            host.vigil.tell = watcher.warn
            return host
        except (MachineError, LostMachineError) as error:
            self._fetch_console()
            raise self._not_up(error, vigil) from None

    def _not_up(self, error: MachineError | LostMachineError, vigil: Vigil) -> MachineError | LostMachineError:
        """Return the error of a machine that did not come up: the reason, how far it got, its console's last lines.

        A machine that ended for no reason on its console is lost; another one may come up.
        """
        text = self._console_text()
        dead_end, account = boot_console.dead_end(text), boot_console.account(text)
        if dead_end is None:
            try:
                vigil.require(at_once=True)
            except LostMachineError as lost:
                what = f"the machine did not come up: {lost.what}; {account}"
                return LostMachineError(what, where=lost.where, hint=lost.hint, log=self.console)
        return MachineError(
            f"the machine did not come up: {dead_end.what if dead_end else error.what}; {account}",
            where=self._domain,
            hint=dead_end.hint if dead_end else error.hint or f"see {self.log} for what Vagrant said",
            log=self.console,
        )

    def _follow(self) -> None:
        """Let the pace follow QEMU's threads, and raise their weight once, as soon as there are any."""
        monitor = self._monitor
        if isinstance(monitor, LibvirtMonitor) and not self._pace.following:
            with suppress(MachineError):  # the domain does not run yet
                self._pace.follow(monitor.threads(), next(iter(monitor.process_ids()), None))
                if self._pace.following:  # from now on, so that the weight is raised once
                    self._placement = placement.raise_weight(monitor.domain, self._clock)

    def _host(self, vagrant: VagrantCli, boot_limit_s: float, watcher: Watcher, vigil: Vigil) -> Host:
        self._follow()
        known_hosts = self.folder / "known_hosts"
        if self._built:
            watcher.note("waiting until the guest's SSH is up")
            silent = any(re.match("quiet$|loglevel=", word) for word in self.spec.cmdline)
            quiet_s = boot_limit_s if silent else hostkey.QUIET_S
            key = hostkey.wait_for(self.monitor(), boot_limit_s, self._pace, vigil, quiet_s)
            address = self._leased_address(boot_limit_s, vigil)
            hostkey.pin(known_hosts, address, SSH_PORT, key)
            return Host(address, SSH_PORT, "vagrant", self.folder / "key", known_hosts, self.name, clock=self._pace)
        ssh = vagrant.ssh_config()
        known_hosts.write_bytes(b"")
        key_path = Path(ssh["IdentityFile"])
        return Host(ssh["HostName"], int(ssh["Port"]), ssh["User"], key_path, known_hosts, self.name, clock=self._pace)

    def _leased_address(self, limit_s: float, vigil: Vigil) -> str:
        """Wait until the guest has an address of libvirt's network; starting Vagrant again would take seconds."""
        end = self._pace() + limit_s
        while not (address := libvirt.address(str(self._domain))):
            vigil.require()
            if self._pace() >= end:
                raise MachineError(f"the guest asked for no address of the network {libvirt.NETWORK!r}")
            time.sleep(hostkey.LOOK_S)
        return address

    def _check(self, host: Host, watcher: Watcher) -> None:
        """Raise MachineError unless CPUs, kernel and its command line are as asked for, and perf can record with it."""
        watcher.note("checking the machine's CPUs and kernel")
        try:
            # The connection stays open for what comes next: under emulation, each takes seconds. A trial closes it.
            answer = host.run(guest_kernel.COMMAND, timeout_s=CHECK_LIMIT_S, sudo=True).stdout
        except RemoteError as error:
            host.close()
            raise MachineError(f"the machine cannot be used over SSH: {error.what}", where=self._domain) from error
        try:
            kernel = guest_kernel.read(answer)
            self._facts |= {"cpus": kernel.cpus, "kernel": kernel.release, "cmdline": list(self.spec.cmdline)}
            guest_kernel.require(kernel, self.spec, self._kernel_pattern())
        except MachineError as error:
            self._fetch_console()
            what = f"{error.what}; {boot_console.account(self._console_text())}"
            raise MachineError(
                what, where=self._domain, expected=error.expected, hint=error.hint, log=self.console
            ) from None

    def _kernel_pattern(self) -> str | None:
        if isinstance(self.spec.kernel, str):
            return re.escape(self.spec.kernel)
        if self._built and self._built.kernel_source:
            return re.escape(self._built.kernel)
        if self._built and self._built.name in names():
            return recipe(self._built.name).kernel.release.pattern
        return None

    def _console_text(self) -> str:
        return self.console.read_text(encoding="utf-8", errors="replace") if self.console.exists() else ""

    def _fetch_console(self) -> None:
        """Bring console.log up to date; VirtualBox writes it by itself."""
        if self._domain and self.spec.hypervisor == "libvirt":
            libvirt.fetch_console(self._domain, self.console)


def vagrant_for(folder: Path) -> VagrantCli:
    """Return Vagrant's commands for the machine of this folder."""
    return VagrantCli(folder / "settings.json", folder / "dotfile", folder / "vagrant.log")


def remove(entry: registry.Entry) -> None:
    """Remove one registered machine. Raises MachineError if the machine still exists.

    Run `vagrant destroy` if its folder exists; then remove the machine by its name through the hypervisor, also if
    `vagrant destroy` failed.
    """
    folder = Path(entry.folder)
    registry.end_orphans(folder / "settings.json")
    if (folder / "settings.json").is_file() and (folder / "dotfile").is_dir() and _belongs_to(folder, entry.domain):
        with suppress(HostError):
            vagrant_for(folder).destroy()
    if entry.hypervisor == "libvirt":
        libvirt.remove_domain(entry.domain)
    else:
        virtualbox.remove(entry.domain)
    shutil.rmtree(folder / "dotfile", ignore_errors=True)
    registry.forget(entry.domain)


def _belongs_to(folder: Path, domain: str) -> bool:
    """Return whether the folder's settings are those of this machine, and not of a later one."""
    try:
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        return f"{settings['prefix']}{settings['name']}" == domain
    except (ValueError, KeyError, TypeError):  # an incomplete file; the hypervisor knows the machine by its name
        return False


def _note_progress(line: str, watcher: Watcher) -> None:
    """Show one of Vagrant's progress lines, without its colours and the machine's name."""
    if match := re.match(r"^==> [^:]+: (?!-- )(\S.*?)\.*$", re.sub(r"\x1b\[[0-9;]*m", "", line)):
        watcher.note(match.group(1))
