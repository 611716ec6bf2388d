"""What the serial console says of a guest that does not come up: how far it got, what stopped it, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

LAST_LINES = 12
MOST_LETTERS = 200  # of a line
RECENT = 100_000  # letters in which a dead end is looked for: it is asked for again and again, and nothing follows one
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()].|\x1b[]P][^\x1b\x07\n]*(?:\x1b\\|\x07)|\r")

REBUILD = "compare the kernel's configuration with that of a kernel that boots: "
DISK_DRIVERS = (
    f"{REBUILD}CONFIG_VIRTIO_PCI, CONFIG_VIRTIO_BLK and CONFIG_EXT4_FS, built in or as modules of its initramfs, "
    "and CONFIG_BLK_DEV_INITRD"
)

SILENT_HINT = (
    f"{REBUILD}CONFIG_SERIAL_8250_CONSOLE=y, CONFIG_TTY and CONFIG_PRINTK; earlyprintk=serial,ttyS0,115200 in "
    "machine.cmdline shows what comes before the console; is the image a bzImage of this machine's architecture?"
)


@dataclass(frozen=True)
class DeadEnd:
    """Why a guest will never come up, and what to do."""

    what: str
    hint: str


# The first sign that matches is the reason; what follows from it comes later in the list.
SIGNS: tuple[tuple[str, str, str], ...] = (
    (
        r"Kernel panic - not syncing: (VFS: Unable to mount root fs[^\n]*)",
        "the guest's kernel panicked: {}",
        DISK_DRIVERS,
    ),
    (
        r"Kernel panic - not syncing: (No working init found[^\n]*|Attempted to kill init![^\n]*"
        r"|Requested init [^\n]*|System is deadlocked[^\n]*)",
        "the guest's kernel panicked: {}",
        "see what init printed before it; init= in machine.cmdline, or CONFIG_BINFMT_ELF, CONFIG_CGROUPS and "
        "CONFIG_DEVTMPFS that systemd needs, or more machine.memory_mb",
    ),
    (
        r"Kernel panic - not syncing: ([^\n]*)",
        "the guest's kernel panicked: {}",
        "the lines before the panic name its cause; leave words out of machine.cmdline, or mend the kernel",
    ),
    (
        r"^\(initramfs\)|Dropping to a shell!",
        "the guest stopped in the shell of its initramfs: it did not find its disk",
        DISK_DRIVERS,
    ),
    (
        r"(?:You are in|Entering) (?:emergency|rescue) mode|Press Enter (?:for maintenance|to continue)"
        r"|Cannot open access to console, the root account is locked",
        "the guest's systemd stopped in emergency mode, without SSH",
        "the lines marked FAILED or DEPEND name what failed; a file system or a unit may need a driver that the "
        "kernel lacks",
    ),
    (
        r"systemd\[1\]: Freezing execution|\[!!!!!!\] ([^\n]*)",
        "the guest's systemd gave up",
        f"{REBUILD}CONFIG_CGROUPS, CONFIG_INOTIFY_USER, CONFIG_SIGNALFD, CONFIG_TIMERFD, CONFIG_EPOLL, CONFIG_UNIX, "
        "CONFIG_SYSFS, CONFIG_PROC_FS, CONFIG_DEVTMPFS, CONFIG_TMPFS_XATTR",
    ),
    (
        r"\[FAILED\] Failed to start ((?:ssh\.service|harness-keys\.service)[^\n]*)",
        "the guest could not start {}",
        "log in by other means, or see `journalctl` of the guest's disk; the kernel may lack what the service needs",
    ),
)
TROUBLE = re.compile(r"(?:BUG: |kernel BUG at |Oops: |general protection fault|rcu: INFO: |INFO: task )[^\n]*")
STAGES: tuple[tuple[str, str], ...] = (
    (r"harness-ready|login:", "its SSH server"),
    (r"harness-host-key ", "the making of its SSH host key"),
    (r"systemd\[1\]: |Welcome to ", "systemd"),
    (r"Run /init as init process|Loading, please wait|Begin: ", "its initramfs"),
    (r"Run \S+ as init process", "its init"),
    (r"Linux version |\[ *\d+\.\d{6}\]", "its kernel"),
)


def plain(console: str) -> str:
    """Return the console's output without colours, carriage returns and what systemd tells terminals of its units."""
    return ANSI.sub("", console)


def dead_end(console: str) -> DeadEnd | None:
    """Return why a guest with this console will never come up; None if it may."""
    text = plain(console[-RECENT:])
    for sign, what, hint in SIGNS:
        if match := re.search(sign, text, re.MULTILINE):
            told = next((group.strip() for group in match.groups() if group), "")
            return DeadEnd(what.format(told[:MOST_LETTERS]), hint)
    return None


def stage(console: str) -> str:
    """Return how far a boot got, as the end of `it got as far as`; empty if nothing was printed."""
    text = plain(console)
    return next((name for sign, name in STAGES if re.search(sign, text)), "its firmware" if text.strip() else "")


def account(console: str) -> str:
    """Return how far a boot got, the first trouble of the kernel, and the console's last lines."""
    text = plain(console)
    lines = [line.strip()[:MOST_LETTERS] for line in text.splitlines() if line.strip()]
    if not lines:
        return "it printed nothing on its serial console"
    trouble = TROUBLE.search(text)
    first = f"; its kernel reported `{trouble.group().strip()[:MOST_LETTERS]}`" if trouble else ""
    return f"it got as far as {stage(console)}{first}; its serial console ends with:\n" + "\n".join(lines[-LAST_LINES:])
