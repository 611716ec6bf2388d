"""What it buys to keep a machine's vCPU on one CPU of the host, or to raise its weight, beside busy loops.

    python benchmarks/vcpu_placement.py [--loops 1,3,4] [--rounds N] [--seconds S] [--folder FOLDER] [--clock host]

Brings up one machine whose guest is kept busy, starts busy loops on the host, each a session of its own, and places the
vCPU in every way, one after the other, `--rounds` times. Prints for how much of the time the vCPU thread wanted to run
and waited, as the median of the rounds, and the ratio to the same machine left alone, with the weight that libvirt gave
it. A machine of its own is made and removed; nothing else of the host is changed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from harness import boxes
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.machines import VagrantMachine
from harness.machines.libvirt import virsh
from harness.machines.placement import FACTOR, LARGEST, cgroup_version
from harness.progress import SilentWatcher
from harness.spec import MachineSpec

LAST = (os.cpu_count() or 1) - 1
EVERYWHERE = f"0-{LAST}"
DEFAULT = {1: 1024, 2: 100}[cgroup_version()]  # the weight of a machine whose definition names none, as here
RAISED = min(FACTOR * DEFAULT, LARGEST[cgroup_version()])
# vCPU on these CPUs, QEMU's other threads on these, weight next to the other machines of libvirt
PLACEMENTS = {
    "left alone": (EVERYWHERE, EVERYWHERE, DEFAULT),
    "weight": (EVERYWHERE, EVERYWHERE, RAISED),
    "pinned": (str(LAST), EVERYWHERE, DEFAULT),
    "pinned, QEMU with it": (str(LAST), str(LAST), DEFAULT),
    "pinned, QEMU apart": (str(LAST), "0", DEFAULT),
    "pinned, weight": (str(LAST), EVERYWHERE, RAISED),
}


def place(domain: str, vcpu: str, emulator: str, shares: int) -> None:
    """Place the threads of a running domain through libvirt."""
    for arguments in (
        ("vcpupin", domain, "0", vcpu, "--live"),
        ("emulatorpin", domain, emulator, "--live"),
        ("schedinfo", domain, "--live", "--set", f"cpu_shares={shares}"),
    ):
        if not (done := virsh(*arguments)).ok:
            raise SystemExit(f"virsh {' '.join(arguments)}: {done.output}")


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep `count` processes of the host busy."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def waiting_share(monitor: Monitor, seconds: float) -> float:
    """Return the share of `seconds` in which the vCPU wanted to run and waited."""
    before, began = monitor.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after, elapsed = monitor.cpu_times(), time.monotonic() - began
    if before is None or after is None:
        raise SystemExit("this host's kernel does not count how long threads wait (CONFIG_SCHED_INFO)")
    return (after.wait_ns - before.wait_ns) / 1e9 / elapsed


def keep_busy(host: Host) -> None:
    """Start a loop in the guest that ends with the guest."""
    host.run("systemd-run --quiet sh -c 'while :; do :; done'", timeout_s=60, sudo=True)
    host.close()


def measure(machine: VagrantMachine, loops: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the shares of every placement beside `loops` busy loops."""
    shares: dict[str, list[float]] = {name: [] for name in PLACEMENTS}
    with busy_loops(loops):
        for _ in range(rounds):
            for name, placement in PLACEMENTS.items():
                place(machine.facts()["domain"], *placement)
                time.sleep(1.0)
                shares[name].append(waiting_share(machine.monitor(), seconds))
    return shares


def main() -> None:
    """Bring up the machine, measure beside each number of loops, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", default="1,3,4", help="numbers of busy loops")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--folder", type=Path, help="for the machine's files; by default a temporary one")
    parser.add_argument("--clock", default="host", choices=["host", "counted"])
    chosen = parser.parse_args()
    spec = MachineSpec(box="debian-12", clock=chosen.clock)
    with ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        box = boxes.build(boxes.recipe(spec.box), SilentWatcher())
        machine = stack.enter_context(VagrantMachine(spec, box, folder / "machine", "guest"))
        (host,) = machine.up(SilentWatcher())
        keep_busy(host)
        for loops in map(int, chosen.loops.split(",")):
            show(loops, measure(machine, loops, chosen.rounds, chosen.seconds))


def show(loops: int, shares: dict[str, list[float]]) -> None:
    """Print one table: median, smallest and largest share of each placement, and the ratio to no placement."""
    alone = median(shares["left alone"])
    table = Table(
        title=f"{loops} busy loops on {LAST + 1} CPUs, cgroup v{cgroup_version()}, weights {DEFAULT} and {RAISED}",
        box=None,
        title_justify="left",
    )
    for heading in ("placement", "waited %", "from", "to", "ratio"):
        table.add_column(heading, justify="left" if heading == "placement" else "right")
    for name, values in shares.items():
        numbers = [f"{100 * value:.1f}" for value in (median(values), min(values), max(values))]
        table.add_row(name, *numbers, f"{median(values) / alone:.2f}" if alone else "")
    Console().print(table)


if __name__ == "__main__":
    main()
