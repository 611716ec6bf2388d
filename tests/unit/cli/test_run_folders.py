"""`harness ls`, `show`, `report`, `verify` and `down`."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import comparable_run
import pytest
from command_line import harness

from harness import machines, spec
from harness.errors import MachineError
from harness.machines import registry
from harness.store import RunFolder

RUN = spec.from_dict({"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}})


def test_a_damaged_run_does_not_hide_the_others(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, RUN, [])
    (tmp_path / "2020-01-01T00-00-00_x").mkdir()
    (tmp_path / "2020-01-01T00-00-00_x" / "manifest.json").write_text("{")
    listed = harness("ls", "--runs", tmp_path).stdout
    assert "_one" in listed
    assert "damaged" in listed


def test_every_reader_names_a_damaged_file_and_none_crashes(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "runs" / "2026-01-01_a").path
    other = comparable_run.make(tmp_path / "runs" / "2026-01-02_b").path
    (run / "trials" / "000_nginx_ab" / "trial.json").write_text('{"switches": "many"}')
    words = "trial.json is damaged: switches is 'many'"
    assert words in harness("repeat", other, "--with", run, code=1).stderr
    assert words in harness("show", run).stdout.replace("\n", " ")
    (run / "manifest.json").write_text('{"schema_version": 1, "steps": []}')
    words = "manifest.json is damaged: name is missing"
    for command in (["show", run], ["verify", run], ["report", run], ["repeat", run], ["run", "--resume", run]):
        assert words in harness(*command, code=1).stderr
    listed = harness("ls", "--runs", tmp_path / "runs").stdout
    assert words in listed
    assert "2026-01-02_b" in listed


def test_text_of_a_run_folder_is_neither_markup_nor_a_command_to_the_terminal(tmp_path: Path) -> None:
    folder = comparable_run.make(tmp_path / "2026-01-01_a", name="[/red]\x1b[2J", error="[/x]\x07\nsecond line")
    for shown in (harness("ls", "--runs", tmp_path).stdout, harness("show", folder.path).stdout):
        assert r"[/red]\x1b[2J" in shown
    assert "[/x]\\x07\n  second line" in harness("show", folder.path).stdout


def test_a_model_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run", scores={"lstm": [[0.9]] * 3}).path
    (run / "models" / "lstm_s0" / "scores.json").write_text("{")
    assert "lstm_s0 cannot be read" in harness("show", run).stdout


def test_no_reader_waits_for_a_pipe(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run", scores={"lstm": [[0.9]] * 3}).path
    for path in (run / "trials" / "000_nginx_ab" / "trial.json", run / "models" / "lstm_s0" / "scores.json"):
        path.unlink()
        os.mkfifo(path)
    assert "it is a device, a pipe or a socket" in harness("show", run).stdout
    harness("report", run)


def test_ls_names_a_folder_that_may_not_be_entered_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparable_run.make(tmp_path / "2026-01-01_a")
    (tmp_path / "2026-01-02_locked").mkdir()

    def is_file(path: Path) -> bool:  # root, who runs the tests, may enter every folder
        if path.parent.name.endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os.path.isfile(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    listed = harness("ls", "--runs", tmp_path).stdout
    assert "2026-01-01_a" in listed
    assert "this folder cannot be read: Permission denied" in listed


def test_verify_names_a_changed_file_and_exits_with_1(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, RUN, [])
    page = folder.path / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("as written")
    folder.finish("report", [page])
    harness("verify", "--runs", tmp_path)
    page.write_text("changed")
    assert "report/index.html" in harness("verify", "--runs", tmp_path, code=1).stdout


def test_a_trial_whose_load_counts_no_requests_is_shown(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, RUN, [])
    folder.finish("trial:000_idle", detail={"switches": 9, "contested_share": None, "requests_per_s": None})
    shown = harness("show", "--runs", tmp_path)
    assert shown.stderr == ""
    assert "usable" in shown.stdout


def test_a_long_path_with_brackets_is_printed_on_one_line(tmp_path: Path) -> None:
    runs = tmp_path / ("long" * 30) / "[red]"
    folder = RunFolder.create(runs, RUN, [])
    assert harness("report", "--runs", runs).stdout == f"{folder.path / 'report' / 'index.html'}\n"


def test_down_removes_the_other_machines_when_one_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(entry: registry.Entry) -> None:
        if entry.domain == "stuck":
            raise MachineError("it stays")
        removed.append(entry.domain)

    removed: list[str] = []
    left = [registry.Entry(name, "libvirt", str(tmp_path), 1, "", 0.0) for name in ("stuck", "other")]
    monkeypatch.setattr(machines, "left_behind", lambda: left)
    monkeypatch.setattr(machines, "remove", remove)
    assert "1 of 2 machines could not be removed: it stays" in harness("down", code=3).stderr
    assert removed == ["other"]
