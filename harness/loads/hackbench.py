"""Groups of senders and receivers that pass messages: hackbench, the scheduler's oldest benchmark."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LoadModel, Metrics, Timing
from harness.loads.guest_scripts import script

TIME = re.compile(r"^Time:\s+([0-9]+(?:\.[0-9]+)?)\s*$", re.MULTILINE)


class Hackbench(LoadModel):
    """`hackbench` in rounds: every sender of a group writes messages to every receiver of that group.

    Each message wakes a receiver, and each full pipe or socket stops a sender, so that dozens of tasks are runnable at
    once and slices are short. Between two rounds all tasks end and are made again.
    """

    roles: ClassVar[tuple[str, ...]] = ("rt_tests",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s",)

    kind: Literal["hackbench"] = "hackbench"
    groups: int = Field(1, ge=1, le=100, description="groups of senders and receivers")
    fds: int = Field(10, ge=1, le=100, description="senders in a group, and as many receivers")
    loops: int = Field(
        300, ge=1, le=100_000_000, description="messages that each sender sends to each receiver in a round"
    )
    message_bytes: int = Field(100, ge=1, le=65_536, description="size of a message, in bytes")
    threads: bool = Field(False, description="threads of one process instead of processes")
    pipes: bool = Field(False, description="pipes instead of socket pairs")

    def command(self) -> list[str]:
        """Return the command that runs hackbench again and again."""
        flags = ["--threads"] * self.threads + ["--pipe"] * self.pipes
        sizes = ["--groups", str(self.groups), "--fds", str(self.fds), "--loops", str(self.loops)]
        message = ["--datasize", str(self.message_bytes)]
        return ["python3", "rounds.py", "hackbench", *sizes, *message, *flags]

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the program that repeats it: hackbench counts no messages, it times a known number of them."""
        return {"rounds.py": script("rounds.py")}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the messages of the rounds that were done, and their rate; the time leaves out making the tasks.

        A round that is stopped prints its time too, after a line about the signal.
        """
        rounds = [block for block in output.split("Running in ")[1:] if "Signal" not in block]
        times = [float(match[1]) for block in rounds if (match := TIME.search(block))]
        if not times or sum(times) == 0:
            return {}
        messages = len(times) * self.groups * self.fds**2 * self.loops
        return {"operations": messages, "seconds": sum(times), "operations_per_s": messages / sum(times)}
