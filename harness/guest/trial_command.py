"""Runs inside the guest: commands and files, for all parts of a trial. Python 3.6, standard library only."""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import json
import os
import shlex
import subprocess
import sys
from typing import Any, List, Optional

COMMAND_S = 120  # for commands of a second: a busy host makes them a minute where the guest has the host's clock


class Failure(Exception):
    """A step failed; the text gives the reason to the user."""


class Unfit(Failure):
    """The machine is not fit for this trial, so that trying again is of no use."""


class Missing(Unfit):
    """A program is not installed."""


class Stopped(Exception):
    """The trial was stopped from outside: no failure of a step, after which another try could be made."""


def call(argv: List[str], limit_s: float, check: bool = True, folder: Optional[str] = None) -> str:
    """Run a command, in `folder` if one is given, and return the output of both streams.

    Raises Failure when it fails or takes too long.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit_s,
            cwd=folder,
        )
    except FileNotFoundError:
        raise Missing(f"{argv[0]}: no such program on this machine") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{shlex_join(argv)}: not done within {limit_s:g} s") from None
    text = done.stdout.decode("utf-8", "replace")
    if check and done.returncode != 0:
        raise Failure(f"{shlex_join(argv)}: exit status {done.returncode}: {text.strip()[-1500:]}")
    return text


def shlex_join(argv: List[str]) -> str:
    """Return the argv as a shell command line."""
    return " ".join(shlex.quote(word) for word in argv)


def read(path: str) -> Optional[str]:
    """Return the text of a small file without its last newline, None when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().rstrip("\n")
    except OSError:
        return None


def write_atomic(path: str, text: str) -> None:
    """Write a file so that it is complete and on the disk, or does not exist."""
    with open(path + ".part", "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(path + ".part", path)


def run_beside(script: str, *arguments: str) -> Any:
    """Run a script that was sent along and return the JSON that it prints. Raises Failure."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), script)
    return json.loads(call([sys.executable, path, *arguments], COMMAND_S))
