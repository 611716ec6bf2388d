"""Run folders of every bad kind: none hides the others, and no command meets one with a defect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comparable_run
import mutated_json
import pytest
import written_before
from command_line import HARNESS, LIMIT_S, harness
from hypothesis import given, settings
from hypothesis import strategies as st

LOCKED = 0o000


def text(content: Any) -> Callable[[Path], object]:
    return lambda run: (run / "manifest.json").write_text(content)


def change(**keys: Any) -> Callable[[Path], object]:
    whole = comparable_run.synthetic_run.manifest(state="done")
    return text(json.dumps({**whole, **keys}))


def holes(run: Path) -> None:
    with (run / "manifest.json").open("wb") as sink:
        sink.truncate(1 << 42)


def loop(run: Path) -> None:
    run.rmdir()
    run.symlink_to(run.name)


def leads_nowhere(run: Path) -> None:
    run.rmdir()
    run.symlink_to("gone")


BLOCKS = {"planned": 6, "complete": 0, "reboot": "never", "rule": None, "history": [], "ended_by": None}
BAD: dict[str, Callable[[Path], object]] = {
    "a manifest that is a folder": lambda run: (run / "manifest.json").mkdir(),
    "a manifest that is a pipe": lambda run: os.mkfifo(run / "manifest.json"),
    "a manifest that is a device": lambda run: (run / "manifest.json").symlink_to("/dev/zero"),
    "a manifest that leads nowhere": lambda run: (run / "manifest.json").symlink_to("gone"),
    "a manifest that leads to itself": lambda run: (run / "manifest.json").symlink_to("manifest.json"),
    "a manifest of four terabytes of holes": holes,
    "an empty manifest": text(""),
    "null": text("null"),
    "nested too deeply": text("[" * 200_000),
    "deep in a key": change(note=json.loads("[" * 300 + "]" * 300)),
    "half a character": change(name="\ud800"),
    "half a character in a key": change(host={"\udfff": 1}),
    "not a number": change(host={"cores": float("nan")}),
    "infinite": change(steps={"box": {"state": "done", "seconds": float("inf")}}),
    "too large a number": change(trials_planned=1e308),
    "too many blocks": change(blocks={**BLOCKS, "planned": 10**9}),
    "blocks without a number": change(blocks={**BLOCKS, "complete": None}),
    "a rule without a width": change(blocks={**BLOCKS, "rule": {"metric": None, "max_hours": 1, "minimum": 6}}),
    "a number of many digits": text('{"schema_version": ' + "1" * 5000 + "}"),
    "text for a number": change(trials_planned="twelve"),
    "null for the steps": change(steps=None),
    "a list for the arms": change(arms=["a"]),
    "a path with a zero byte": change(steps={"trial:\0": {}}),
    "a link to itself": loop,
    "a link that leads nowhere": leads_nowhere,
}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four good runs and one bad run of each kind."""
    for number in range(4):
        comparable_run.make(tmp_path / f"2026-01-0{number + 1}T00-00-00_good")
    for number, (name, spoil) in enumerate(BAD.items()):
        run = tmp_path / f"2025-01-01T00-00-{number:02d}_{name.replace(' ', '_')}"
        run.mkdir()
        spoil(run)
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "no_run").mkdir()
    return tmp_path


def test_no_bad_run_folder_hides_the_others(runs: Path) -> None:
    shown = harness("ls", "--runs", runs).stdout
    assert shown.count("_good") == 4
    assert sum(line.startswith("damaged: ") for line in shown.splitlines()) == len(BAD)
    for run in runs.glob("2025*"):
        assert run.name in shown
    assert "no_run" not in shown
    assert "a_file" not in shown
    listed = json.loads(harness("ls", "--runs", runs, "--json").stdout)
    assert (len(listed["runs"]), len(listed["damaged"])) == (4, len(BAD))


def test_every_command_names_a_bad_run_folder_and_none_has_a_defect(runs: Path) -> None:
    good = next(runs.glob("*_good"))
    for run in runs.glob("2025*"):
        for command in (["show", run], ["verify", run], ["report", run], ["run", "--resume", run]):
            assert run.name in harness(*command, code=1).stderr
        assert run.name in harness("repeat", good, "--with", run, code=1).stderr
        assert run.name in harness("diff", good, run, code=1).stderr


def test_where_all_runs_are_damaged_ls_fails_and_starts_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "manifest.json").write_text("{")
    shown = harness("ls", "--runs", tmp_path, code=1).stdout
    assert "damaged: " in shown
    assert "start one" not in shown
    assert harness("ls", "--runs", tmp_path, "--where", "true", code=1).stdout == shown
    (tmp_path / "none").mkdir()
    assert "start one" in harness("ls", "--runs", tmp_path / "none").stdout


def test_a_path_that_is_no_folder_of_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "file", tmp_path / "loop", tmp_path / ("x" * 300)):
        assert "the runs in this folder cannot be listed" in harness("ls", "--runs", path, code=2).stderr


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "", "\ud800", "../..", "*"])
def test_a_name_that_no_run_has_is_a_wrong_argument(tmp_path: Path, name: str) -> None:
    comparable_run.make(tmp_path / "2026-01-01T00-00-00_a")
    assert "there is no run" in harness("show", name, "--runs", tmp_path, code=2).stderr


def without_root(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command without the right of root to enter every folder."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run([*drop, *HARNESS, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S)


@pytest.mark.slow
def test_what_this_user_may_not_read_is_named_and_hides_nothing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    good = comparable_run.make(runs / "2026-01-01T00-00-00_good").path
    for name, locked in (("folder", "."), ("manifest", "manifest.json")):
        run = comparable_run.make(runs / f"2025-01-01T00-00-00_{name}").path
        (run / locked).chmod(LOCKED)
    listed = without_root("ls", "--runs", runs)
    assert listed.returncode == 0, listed.stderr
    assert "2026-01-01T00-00-00_good" in listed.stdout
    assert listed.stdout.count("Permission denied") == 2
    (good / "trials" / "000_nginx_ab").chmod(LOCKED)
    shown = without_root("show", good)
    assert "Permission denied" in shown.stdout
    assert "001_nginx_ab" in shown.stdout
    runs.chmod(LOCKED)
    refused = without_root("ls", "--runs", runs)
    assert refused.returncode == 2
    assert "the runs in this folder cannot be listed: Permission denied" in refused.stderr
    runs.chmod(0o755)


@settings(max_examples=30)
@given(st.data())
def test_no_manifest_makes_a_command_end_with_a_defect(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "mutated"
    run = folder / written_before.RUN
    if not folder.exists():
        written_before.unpack(folder)
        shutil.copy(run / "manifest.json", folder / "whole.json")
    content = json.dumps(mutated_json.mutated(data, json.loads((folder / "whole.json").read_text())))
    more = (["diff", run, run, "--all"], ["report", run], ["verify", run])
    for command in (["ls", "--runs", folder], ["show", run], ["show", run, "--json"], *more):
        (run / "manifest.json").write_text(content)
        assert "defect" not in any_exit(*command)


def any_exit(*arguments: str | Path) -> str:
    """Run the command to exit code 0, 1 or 2; return what it says on stderr."""
    from typer.testing import CliRunner

    from harness.cli import app

    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code in (0, 1, 2), result.output
    return result.stderr
