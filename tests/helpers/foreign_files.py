"""Gives every command paths that it cannot use, in this process, and prints what came of each as JSON.

python foreign_files.py FOLDER COMMAND...
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner

from harness.cli import app

HUGE = 100 << 30
NAME = "new\nline\x1b[2J"
NOBODY = 65534
MEMORY_BYTES, FILE_BYTES = 4 << 30, 1 << 20
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "run": lambda path: ["run", path, "--dry-run"],
    "run --resume": lambda path: ["run", path, "--resume", "--dry-run"],
    "evaluate": lambda path: ["evaluate", path, "-p", "markov"],
    "train": lambda path: ["train", path, "-p", "markov", "-o", "out"],
    "predict": lambda path: ["predict", path, "--model", path],
    "model export": lambda path: ["model", "export", path, "--to", "c", "-o", "out"],
    "model compare": lambda path: ["model", "compare", path],
    "trace convert": lambda path: ["trace", "convert", path, "-o", "out"],
    "trace import": lambda path: ["trace", "import", path, "-o", "out"],
    "trace export": lambda path: ["trace", "export", path, "--to", "csv", "-o", "out"],
    "trace summary": lambda path: ["trace", "summary", path],
    "box import": lambda path: ["box", "import", path],
    "box build --lock": lambda path: ["box", "build", "debian-12", "--lock", path],
    "show": lambda path: ["show", path],
    "report": lambda path: ["report", path],
    "verify": lambda path: ["verify", path],
    "repeat": lambda path: ["repeat", path],
    "repeat --with": lambda path: ["repeat", path, "--with", path],
}


def main(folder: Path, commands: list[str]) -> None:
    """Run each command with each path, with bounds on memory and on what it may write."""
    os.chdir(folder)
    ended, paths = [], places(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    for name, path in paths.items():
        for command in commands:
            with as_nobody() if name == "secret" else as_is():
                result = CliRunner().invoke(app, COMMANDS[command](str(path)))
            ended.append({"command": command, "place": name, "code": result.exit_code, "said": result.output})
    sys.stdout.write(json.dumps(ended))


def places(folder: Path) -> dict[str, Path]:
    """Make one path of each kind that no command can use; the last one is not readable."""
    paths = {"zero": Path("/dev/zero"), "random": Path("/dev/urandom"), "long": Path("a" * 5000)}
    paths |= {name: folder / name for name in ("pipe", "folder", "sparse", "socket", "broken", "loop", NAME, "secret")}
    os.mkfifo(paths["pipe"])
    paths["folder"].mkdir()
    with paths["sparse"].open("wb") as file:
        file.truncate(HUGE)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")  # its name is short, whatever the folder's
    paths["broken"].symlink_to(folder / "nowhere")
    paths["loop"].symlink_to(paths["loop"])
    paths[NAME].write_text("x")
    paths["secret"].write_text("x")
    paths["secret"].chmod(0)
    return paths


@contextmanager
def as_is() -> Iterator[None]:
    """Change nothing."""
    yield


@contextmanager
def as_nobody() -> Iterator[None]:
    """Go on as a user who may not read what root owns; one who is not root may not anyway."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
