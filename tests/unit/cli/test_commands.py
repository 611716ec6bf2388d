"""Every command alike: its help, its streams, and the form of its JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from command_line import LIMIT_S, harness

from harness.cli import app


def tree(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group, () for the root."""
    command = command or typer.main.get_command(app)
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from tree(child, (*path, name))


@pytest.mark.parametrize("command", list(tree()), ids=" ".join)
def test_help_explains_a_command_and_shows_no_type_beside_a_flag(command: tuple[str, ...]) -> None:
    shown = harness("help", *command).stdout
    assert shown == harness(*command, "--help").stdout
    assert len(shown.splitlines()) > 4
    assert "<bool>" not in shown
    assert re.search(r"--help +-h +Show this message", shown)


def test_help_for_no_command_is_a_wrong_argument() -> None:
    assert "No such command 'trase'" in harness("help", "trase", code=2).stderr


def test_python_runs_the_package_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "ls", "--no-such-option"], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: No such option: --no-such-option\n  try: python -m harness ls --help\n")


def test_answers_are_on_stdout_and_progress_on_stderr(raw: Path, tmp_path: Path) -> None:
    converted = harness("trace", "convert", raw, "-o", tmp_path / "tables")
    assert {line.partition(": ")[2] for line in converted.stdout.splitlines()} == {
        str(path) for path in (tmp_path / "tables").glob("*.parquet")
    }
    assert "Convert" in converted.stderr
    assert "Convert" not in harness("trace", "convert", raw, "-o", tmp_path / "tables", "-q").stderr


def test_with_json_wrong_arguments_are_json_too() -> None:
    document = json.loads(harness("ls", "--no-such-option", "--json", code=2).stdout)
    assert list(document) == ["error"]
    assert document["error"]["try"] == "harness ls --help"
