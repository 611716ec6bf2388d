"""Where a run under way is, seen from another process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import harness

from harness import spec
from harness.store import RunFolder, run_progress

DATA = {"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}, "trials": {"repeat": 3}}
WORK = """
import sys, pathlib
from harness.store import RunFolder
folder = RunFolder.open(pathlib.Path(sys.argv[1]))
with folder.lock():
    folder.update(state="running")
    folder.begin("trial:000_idle")
    folder.finish("trial:000_idle")
    folder.begin("trial:001_idle")
    print("recording", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A run, and another process that records its second trial."""
    run = RunFolder.create(tmp_path, spec.from_dict(DATA, text="name: one\n"), []).path
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WORK, run], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "recording\n"
        yield run, child
        child.kill()


def test_another_terminal_sees_where_a_run_is_until_its_process_is_killed(
    at_work: tuple[Path, subprocess.Popen[str]],
) -> None:
    run, child = at_work
    words = rf"under way: trial 2 of 3 \(001_idle\), for .* s; process {child.pid}"
    for command in (("ls", "--runs", run.parent), ("show", run)):
        assert re.search(words, harness(*command).stdout)
    (row,) = json.loads(harness("ls", "--runs", run.parent, "--json").stdout)["runs"]
    assert (row["state"], row["progress"]["trial"], row["progress"]["trials"]) == ("running", 2, 3)
    assert json.loads(harness("show", run, "--json").stdout)["progress"]["step"] == "trial:001_idle"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    for command in (("ls", "--runs", run.parent), ("show", run)):
        shown = harness(*command).stdout
        assert "under way" not in shown
        assert "interrupted" in shown
    assert run_progress.of(RunFolder.open(run)) is None


def test_a_training_tells_how_many_models_are_done(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, spec.from_dict(DATA), [])
    with folder.lock():
        folder.update(state="running")
        for step in ("train", "model:a_s0", "model:b_s0"):
            folder.begin(step)
        folder.finish("model:a_s0")
        progress = run_progress.of(folder)
    assert progress
    assert progress.text == "training, 1 of 2 models done"
