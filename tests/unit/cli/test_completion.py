"""The shell's own protocol: it asks the command what a word may become."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import comparable_run
import pytest
from command_line import HARNESS, LIMIT_S

pytestmark = pytest.mark.slow
RUN = "2026-01-01T00-00-00_a"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shell")
    comparable_run.make(path / "runs" / RUN)
    (path / "mine.yaml").write_text("name: mine\n")
    return path


def completed(line: str, folder: Path) -> list[str]:
    """What bash would offer for the last word of a line."""
    words = ["harness", *shlex.split(line)] + ([""] if line.endswith(" ") else [])
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_HARNESS_COMPLETE": "complete_bash"}
    program = [HARNESS[0], "-c", "from harness.cli import app; app(prog_name='harness')"]
    done = subprocess.run(
        program, cwd=folder, env={**os.environ, **asked}, capture_output=True, timeout=LIMIT_S, text=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pred", ["predict", "predictors"]),
        ("show ", [RUN]),
        ("show --runs nowhere ", []),
        ("repeat 2026", [RUN]),
        ("diff 2026", [RUN]),
        (f"diff {RUN} 2026", [RUN]),
        ("run --resume ", [RUN]),
        ("run ng", ["nginx_ab"]),
        ("run m", ["mine.yaml"]),
        ("run smoke --machine deb", ["debian-12"]),
        ("run smoke --load ngi", ["nginx_ab"]),
        ("box build deb", ["debian-12"]),
        ("train tables -p ls", ["lstm"]),
        ("predictors gr", ["gradient_boosting", "gru"]),
        ("init --from sm", ["smoke"]),
        ("loads str", ["stress_ng"]),
    ],
)
def test_values_are_completed(line: str, offered: list[str], folder: Path) -> None:
    words = completed(line, folder)
    assert set(offered) <= set(words)
    assert bool(offered) == bool(words)
    assert all(word.startswith(line.split(" ")[-1]) for word in words)
