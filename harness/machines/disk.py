"""Copy the disk of a machine as one file that needs no other: shut the guest down, download its overlay, flatten it.

A machine's volume in the pool is an overlay on the volume of its box, and only root may read either. libvirt lets all
its users download a volume. The overlay is downloaded and joined with the box in the cache, so that the pool needs no
space for a second copy, and a copy that is interrupted leaves nothing in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness import boxes, processes
from harness.boxes import Box, builder, provisioned, rootfs
from harness.boxes.provisioned import ProvisionedBox, Provisioning
from harness.errors import DeadlineError, HostError, LostMachineError, MachineError, TransientError
from harness.files import make_folder
from harness.guest.remote import Host
from harness.machines import box_install, libvirt
from harness.paths import data_dir
from harness.progress import Watcher

SEAL_LIMIT_S = 300.0
SHUTDOWN_LIMIT_S = 300.0  # an emulated guest on a quiet host takes about 10 s
DOWNLOAD_LIMIT_S = 600.0
FLATTEN_LIMIT_S = 900.0
SPACE_MB = 2500  # the overlay and the new box in the cache, and their copies for Vagrant and libvirt


def check_space() -> None:
    """Raise HostError unless there is enough space in the cache to keep one more machine."""
    make_folder(provisioned.root())
    builder.check_space(provisioned.root(), SPACE_MB, "keep the provisioned machine")


def seal(host: Host) -> str:
    """Remove from the guest what belongs to this one machine; return its packages, `name version` in each line.

    Raises RemoteError. Nobody can log in anew afterwards: the key is gone.
    """
    listed = host.run("dpkg-query -W -f '${Package} ${Version}\\n'", timeout_s=SEAL_LIMIT_S).stdout
    script = (data_dir("ansible") / "seal.sh").read_text(encoding="utf-8")
    host.run(script, timeout_s=SEAL_LIMIT_S, sudo=True)
    return listed


def shut_down(host: Host, domain: str) -> None:
    """Shut the guest down and wait until it is off.

    Raises MachineError when it stays on, because its disk is in use then, and LostMachineError when it stands still.
    """
    try:
        host.run("systemctl poweroff --no-block", timeout_s=60, sudo=True)
    except (TransientError, DeadlineError, LostMachineError):
        pass  # sshd, or the machine, may have ended before its answer; the domain's state decides
    finally:
        host.close()
    end = host.clock() + SHUTDOWN_LIMIT_S
    while (state := libvirt.state(domain)) != "shut off":
        if host.vigil and host.vigil.look().state == "paused":
            host.vigil.require()
        if host.clock() > end:
            raise MachineError(
                f"the machine did not shut down in {SHUTDOWN_LIMIT_S:.0f} s; it is {state}", where=domain
            )
        time.sleep(0.5)


def copy(domain: str, box: Box, work: Path, target: Path, watcher: Watcher) -> None:
    """Write the disk of `domain`, which is off, to the compressed qcow2 `target`; `box` is what it was made from.

    `work` holds the overlay meanwhile. Every part of `box` is compared with its hash first: what is joined with the
    overlay gets a hash of its own, and a change in it would never be seen. Raises HostError, DamagedBoxError for a box
    that has changed.
    """
    boxes.require_unchanged(box)
    overlay = work / "overlay.qcow2"
    watcher.note("copying the disk out of libvirt's pool")
    volume = libvirt.disk_volume(domain)
    sent = libvirt.virsh("vol-download", "--pool", libvirt.POOL, volume, str(overlay), timeout_s=DOWNLOAD_LIMIT_S)
    _require(sent, f"the disk of {domain} could not be copied")
    watcher.note("compressing the disk")
    rebase = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(box.image), str(overlay)]
    _require(processes.run(rebase, timeout_s=60), "the overlay could not be joined with its box")
    flatten = rootfs.compression(overlay, target)
    _require(processes.run(flatten, timeout_s=FLATTEN_LIMIT_S), "the disk could not be compressed")
    overlay.unlink()


def _require(result: processes.ProcessResult, what: str) -> None:
    if not result.ok:
        late = f"not done after {result.seconds:.0f} s" if result.timed_out else None
        reason = late or (result.output.strip().splitlines() or ["no output"])[-1]
        raise HostError(
            f"{what}: {reason}", hint="is there space left on the disks of the cache and of libvirt's pool?"
        )


def keep(
    facts: Mapping[str, Any], host: Host, box: Box, key: str, made: Provisioning, watcher: Watcher
) -> ProvisionedBox:
    """Shut down the machine with these facts, which was made from `box` and provisioned; put its disk into the cache.

    `key` is what it will be found by. The machine cannot be used afterwards. Raises RemoteError, MachineError or
    HostError; then the cache is unchanged.
    """
    with provisioned.work_folder() as fresh:
        watcher.note("removing what belongs to this one machine")
        packages = seal(host)
        watcher.note("shutting the machine down")
        shut_down(host, facts["domain"])
        copy(facts["domain"], box, fresh, fresh / "box.img", watcher)
        watcher.note("putting the machine into the cache")
        return provisioned.publish(fresh, box, key, made, packages)


def discard(box: ProvisionedBox) -> None:
    """Remove a kept machine from the cache, with the copies that Vagrant and libvirt have of it."""
    boxes.remove(box, box_install.uninstall)


def discard_superseded(box: ProvisionedBox) -> None:
    """Remove the older machines that `box` takes the place of; what cannot go now stays until `harness box prune`."""
    for older in provisioned.superseded(box):
        with suppress(HostError):  # such as: a machine uses it, or another process works on it
            discard(older)
