"""The README's commands: those that cost nothing are run and their output compared; the others must at least be valid.

`PYTHONPATH=tests python tests/unit/cli/test_readme.py` writes the present output into the README.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from command_line import ended
from locations import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHEAP = ("--dry-run", "loads", "concurency")


def blocks() -> list[str]:
    return [found[1] for found in BLOCK.finditer(README.read_text("utf-8"))]


def commands() -> list[list[str]]:
    lines = [line for block in blocks() for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line[2:]) for line in lines]


def run(arguments: list[str], cwd: Path) -> str:
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    done = ended(*arguments, cwd=cwd, env=environment)
    return "\n".join(line.rstrip() for line in (done.stdout + done.stderr).splitlines())


def is_cheap(block: str) -> bool:
    return block.count("$ ") == 1 and any(word in block for word in CHEAP)


@pytest.mark.parametrize("block", [block for block in blocks() if is_cheap(block)])
def test_a_command_prints_what_the_readme_says(block: str, tmp_path: Path) -> None:
    command, _, shown = block.partition("\n")
    assert run(shlex.split(command[2:])[1:], tmp_path).strip() == shown.strip()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_of_the_readme_exists_with_its_options(command: list[str], tmp_path: Path) -> None:
    assert command[0] == "harness"
    path = command[1:3] if command[1] in ("trace", "box", "model") else command[1:2]
    helped = run([*path, "--help"], tmp_path)
    assert "Usage" in helped
    for option in (word for word in command if word.startswith("-")):
        assert option in helped


def test_the_two_commands_stand_at_the_top_and_the_makefile_has_them() -> None:
    head, makefile = README.read_text("utf-8")[:700], (ROOT / "Makefile").read_text("utf-8")
    for target in ("run", "test"):
        assert f"\n    make {target} " in head
        assert f"\n{target}:" in makefile


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8")):
        assert (ROOT / target).is_file(), target


def _refresh() -> None:
    def renewed(found: re.Match[str]) -> str:
        block = found[1]
        command = block.partition("\n")[0]
        shown = run(shlex.split(command[2:])[1:], Path("/tmp")).strip() if is_cheap(block) else ""
        return f"```console\n{command}\n{shown}\n```" if shown else found[0]

    README.write_text(BLOCK.sub(renewed, README.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    _refresh()
