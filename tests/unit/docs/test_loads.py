"""docs/loads.md: it names every load, its examples are read, and its command really runs and is measured."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from locations import ROOT

from harness import guardian, spec
from harness.loads import OWN, Timing

TEXT = (ROOT / "docs" / "loads.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(load:\n.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def load_of(text: str) -> Any:
    experiment = spec.load_bytes(f"name: one\nmachine: {{box: debian-12}}\n{text}".encode(), "loads.md")
    return experiment.load


def test_the_page_says_what_each_load_is_good_for() -> None:
    table = TEXT.split("## Which one?", 1)[1].split("\n\n", 2)[1]
    assert {name for name in re.findall(r"`(\w+)`", table) if name != "cpu"} == set(OWN)


@pytest.mark.parametrize("text", EXAMPLES, ids=[load_of(text).kind for text in EXAMPLES])
def test_every_example_is_read(text: str) -> None:
    assert all(part.command() for part in load_of(text).parts)


def test_the_command_of_the_page_runs_until_it_is_stopped_and_is_measured(tmp_path: Path) -> None:
    load = load_of(next(text for text in EXAMPLES if "kind: command" in text))
    for name, text in load.files(Timing(1, 0.0, 1.0)).items():
        (tmp_path / name).write_text(text)
    assert subprocess.run(load.ready(), cwd=tmp_path, capture_output=True).returncode == 0
    command = ["env", "--default-signal=INT", *load.command()]  # tests that run in the background ignore it
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        with guardian.group(process.pid):
            lines = [process.stdout.readline() for _ in range(2)]
            os.killpg(process.pid, signal.Signals[load.stop_signal])
            rest, _ = process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    metrics = load.parse("".join(lines) + rest, Timing(1, 0.0, 1.0))
    assert metrics["operations"] >= 2
    assert metrics["archives_per_s"] > 0
    assert [limit.metric for limit in load.limits] == ["operations"]
