"""A load with hostile task names: tasks that wake one another, change CPU, run programs and die.

Run as a program: `busy.py ROUNDS`. Each task takes one of NAMES, and bounces a byte with its parent over pipes.
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
    """One child after the other: `rounds` round trips each, on alternating CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    for number, name in enumerate(NAMES):
        bounce(name, rounds, cpus[number % len(cpus) :] + cpus[: number % len(cpus)])


def bounce(name: bytes, rounds: int, cpus: list[int]) -> None:
    """Fork a child called `name` and pass a byte to and fro; the child moves between `cpus`."""
    (down, tell), (hear, up) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        set_name(name)
        for turn in range(rounds):
            os.sched_setaffinity(0, {cpus[turn % len(cpus)]})
            os.read(down, 1)
            os.write(up, b"x")
        if len(name) % 2:
            os._exit(3)
        os.execv("/bin/true", ["true"])
    for _ in range(rounds):
        os.write(tell, b"x")
        os.read(hear, 1)
    os.waitpid(child, 0)
    for end in (down, tell, hear, up):
        os.close(end)


if __name__ == "__main__":
    main(int(sys.argv[1]))
