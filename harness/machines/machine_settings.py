"""The content of settings.json: everything that vagrant/Vagrantfile needs to know of one machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness.boxes import Box
from harness.errors import MachineError
from harness.machines import key_pair, libvirt
from harness.machines.box_install import PoolPaths
from harness.machines.guest_clock import GuestClock
from harness.spec import MachineSpec

# Modules and file systems that no load uses. tracefs and debugfs stay: perf needs them. A name is looked up when
# packages are installed and by whoever logs in, so systemd-resolved stays too.
UNNEEDED_UNITS = (
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-binfmt.service",
    # Without pam_systemd, as in these boxes, a user's service manager fails to start; lingering tries it at every boot.
    "user-runtime-dir@1000.service",
    "user@1000.service",
)
# Drivers of devices that these guests do not use: disk and network are virtio, and no guest runs guests of its own.
# Finding no disk on the emulated IDE controller alone takes 9 s of a guest with 125 instructions per microsecond.
UNNEEDED_MODULES = (
    "ata_generic", "ata_piix", "cirrus", "floppy", "i2c_piix4", "kvm_amd", "kvm_intel", "libata", "pata_acpi", "pcspkr",
    "powernow_k8", "psmouse", "scsi_mod", "sd_mod", "sg", "sr_mod",
)  # fmt: skip
MOST_COMMAND_LINE = 2047  # COMMAND_LINE_SIZE of x86, less its end; the kernel cuts off what is longer
NO_LIMIT_S = 86_400  # for Vagrant, which knows only the host's clock; the harness has limits of its own


def settings(
    spec: MachineSpec, box: Box | str, folder: Path, prefix: str, name: str, accelerator: str, clock: GuestClock
) -> dict[str, Any]:
    """Return the settings of the machine `prefix` + `name`; make its key pair and the volume of its console."""
    fast = accelerator == "kvm"
    on_libvirt = spec.hypervisor == "libvirt"
    return {
        "name": name,
        "prefix": prefix,
        "box": box.vagrant_name if isinstance(box, Box) else box,
        "ready_made": isinstance(box, str),
        "key": str(key_pair.make(folder)),
        "cpus": spec.cpus,
        "memory_mb": spec.memory_mb,
        "driver": "kvm" if fast else "qemu",
        # An emulated CPU that copies a modern host's model makes guests hang; this one is the plainest there is.
        "cpu_mode": "host-passthrough" if fast else "custom",
        "cpu_model": None if fast else "qemu64",
        "cpu_without": missing_features(libvirt.hypervisor_version()) if on_libvirt and not fast else [],
        "icount_shift": clock.shift,
        "boot_timeout_s": NO_LIMIT_S,
        "pool": libvirt.POOL,
        "network": libvirt.NETWORK,
        "network_address": libvirt.network_address() if on_libvirt else None,
        "console": libvirt.console_volume(f"{prefix}{name}") if on_libvirt else str(folder / "console.log"),
        "kernel": None,
    }


def missing_features(hypervisor: str) -> list[str]:
    """Return the features that an emulated CPU must not have on this hypervisor, such as `QEMU 7.2.22`.

    QEMU before 8.0 leaves wrong flags behind cmpxchg16b. A timer's interrupt that comes right then saves and restores
    them: a kernel whose memory allocator uses the instruction panics, at random, often in its boot.
    """
    version = re.match(r"QEMU (\d+)", hypervisor)
    return ["cx16"] if version and int(version[1]) < 8 else []


def direct_boot(spec: MachineSpec, box: Box, pool: PoolPaths, folder: Path) -> dict[str, Any]:
    """Return the settings that boot the kernel of a built box, with the public key of the campaign.

    Units and drivers that no trial needs are left out: on an emulated CPU each takes a good part of a second. So is the
    kernel's test of its timer: it counts interrupts over a few ms, and a guest on the host's clock that did not get a
    CPU meanwhile panics ("IO-APIC + timer doesn't work!"). Under KVM the kernel leaves it out by itself.
    """
    without = " ".join(f"systemd.mask={unit}" for unit in UNNEEDED_UNITS)
    without += f" modprobe.blacklist={','.join(UNNEEDED_MODULES)} no_timer_check"
    own = "".join(f"{word} " for word in spec.cmdline)  # the last one of several counts, for most words
    command_line = f"{box.cmdline} {without} {own}harness.key={key_pair.argument(key_pair.make(folder))}"
    if len(command_line) > MOST_COMMAND_LINE:
        raise MachineError(
            f"the kernel's command line would be {len(command_line)} letters long",
            expected=f"at most {MOST_COMMAND_LINE}",
            hint="leave words out of machine.cmdline",
        )
    return {"kernel": pool.kernel, "initrd": pool.initrd, "command_line": command_line}
