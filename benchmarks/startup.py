"""How long short commands take to start, beside `python -c pass`.

    python benchmarks/startup.py [--runs FOLDER] [--rounds N]

Each command runs once in each of `--rounds` rounds, so that other work on the machine slows all of them alike, and the
smallest value counts. `CPU s` is user and system time, which a busy machine changes less than the wall clock.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

COMMAND = "from harness.cli import main; main()"


def commands(runs: str) -> dict[str, list[str]]:
    """Return the arguments of Python for each row of the table."""
    rows = {"python -c pass": ["pass"]}
    for arguments in (["--help"], ["ls", "--runs", runs], ["loads"], ["box", "ls"]):
        rows[" ".join(["harness", *arguments])] = [COMMAND, *arguments]
    return rows


def measure(arguments: list[str]) -> tuple[float, float]:
    """Run Python once; return its CPU and wall seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", *arguments], stdout=subprocess.DEVNULL, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Measure every command in turn, several times, and print the smallest values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="runs", help="the folder that `harness ls` lists")
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    rows = commands(chosen.runs)
    rounds = [{name: measure(arguments) for name, arguments in rows.items()} for _ in range(chosen.rounds)]
    table = Table(box=None, pad_edge=False)
    for heading in ("command", "CPU s", "wall s"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for name in rows:
        table.add_row(name, *(f"{min(times[name][kind] for times in rounds):.3f}" for kind in (0, 1)))
    Console().print(table)


if __name__ == "__main__":
    main()
