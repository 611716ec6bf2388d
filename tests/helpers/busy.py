"""A load with hostile task names: tasks that wake one another, change CPU, run programs and die.

Run as a program: `busy.py ROUNDS`. Each task takes one of NAMES and exchanges a byte with its parent over pipes.
"""

from __future__ import annotations

import ctypes
import os
import sys

NAMES = (
    b"",
    b" leading space",
    b"a:b:c",
    b"kworker/0:1:x",
    b"two\nlines",
    b"tab\tname",
    b"fifteen_bytes_x",
    b"\xff\xfe\x80 no utf8",
    "π и 猫".encode(),
    b"==> next_comm=x",
    b"back\\slash\\x41",
    b"[000] 1.000: s",
    b"\x1b[31mred",
    b"-1",
    b"[bold]x[/b]",
)
_PR_SET_NAME = 15


def set_name(name: bytes) -> None:
    """Give this task a name of up to 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name, 0, 0, 0)


def main(rounds: int) -> None:
    """Run one child after the other, each for `rounds` round trips on alternating CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    for index, name in enumerate(NAMES):
        exchange(name, rounds, cpus[index % len(cpus) :] + cpus[: index % len(cpus)])


def exchange(name: bytes, rounds: int, cpus: list[int]) -> None:
    """Fork a child called `name` and send a byte there and back; the child moves between `cpus`."""
    (from_parent, to_child), (from_child, to_parent) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        set_name(name)
        for turn in range(rounds):
            os.sched_setaffinity(0, {cpus[turn % len(cpus)]})
            os.read(from_parent, 1)
            os.write(to_parent, b"x")
        if len(name) % 2:
            os._exit(3)
        os.execv("/bin/true", ["true"])
    for _ in range(rounds):
        os.write(to_child, b"x")
        os.read(from_child, 1)
    os.waitpid(child, 0)
    for end in (from_parent, to_child, from_child, to_parent):
        os.close(end)


if __name__ == "__main__":
    main(int(sys.argv[1]))
