"""`harness ls`, `show`, `report`, `verify` and `down`."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import comparable_run
import pytest
import written_before
from command_line import harness

from harness import machines, spec
from harness.errors import MachineError
from harness.machines import registry
from harness.store import RunFolder

DATA = {"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}}
RUN = spec.from_dict(DATA)


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
    folder = comparable_run.make(tmp_path / "[red]\x1b[2J", error="[/x]\x07\nsecond line")
    for shown in (harness("ls", "--runs", tmp_path).stdout, harness("show", folder.path).stdout):
        assert r"[red]\x1b[2J" in shown
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


@pytest.fixture
def real_run(tmp_path: Path) -> Path:
    """A run that 0.1.0 recorded."""
    return written_before.unpack(tmp_path) / written_before.RUN


PERCENT = re.compile(r"99\.5\s*%")  # a coordinate of a picture may have these digits, too


def raise_scores(run: Path, model: str) -> None:
    """Write 99.5 % into the scores of a model."""
    path = run / "models" / model / "scores.json"
    scores = json.loads(path.read_text())
    scores["contested"]["top1"] = scores["overall"]["top1"] = 0.995
    path.write_text(json.dumps(scores))


def test_changed_scores_are_shown_by_no_command_and_each_names_the_file(real_run: Path) -> None:
    raise_scores(real_run, "lstm_s0")
    shown = harness("show", real_run, code=1).stdout
    assert "models/lstm_s0/scores.json: changed" in shown
    assert "the scores of this model are left out" in shown.replace("\n", " ")
    assert "99.5" not in shown
    assert "markov" in shown
    problems = json.loads(harness("show", real_run, "--json", code=1).stdout)["problems"]
    assert [problem["path"] for problem in problems] == ["models/lstm_s0/scores.json"]
    warned = harness("report", real_run, code=1)
    assert "warning: models/lstm_s0/scores.json: changed" in warned.stderr
    page = (real_run / "report" / "index.html").read_text("utf-8")
    assert not PERCENT.search(page)
    assert "Not verified:" in page
    assert "models/lstm_s0/scores.json: changed" in page


def test_a_model_that_no_step_of_the_run_wrote_is_left_out(real_run: Path) -> None:
    shutil.copytree(real_run / "models" / "lstm_s0", real_run / "models" / "oracle_s0")
    raise_scores(real_run, "oracle_s0")
    shown = harness("show", real_run, code=1).stdout
    assert "models/oracle_s0/scores.json: extra (no step of the run wrote it)" in shown
    assert "models/oracle_s0/scores.json" in harness("verify", real_run, code=1).stdout
    assert "99.5" not in shown
    harness("report", real_run, code=1)
    assert not PERCENT.search((real_run / "report" / "index.html").read_text("utf-8"))


def test_an_untouched_run_is_shown_without_a_warning(real_run: Path) -> None:
    assert "!" not in harness("show", real_run).stdout
    assert harness("report", real_run).stderr == ""


def test_an_edited_manifest_is_marked_by_every_command_that_reads_it(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN, []).path
    path = run / "manifest.json"
    path.write_text(path.read_text().replace('"state": "running"', '"state": "done"'))
    assert "done, edited" in harness("ls", "--runs", tmp_path).stdout
    assert json.loads(harness("ls", "--runs", tmp_path, "--json").stdout)["runs"][0]["edited"] is True
    for command in ("show", "verify"):
        assert "manifest.json" in harness(command, run, code=1).stdout
    assert "manifest.json: changed" in harness("report", run, code=1).stderr
    assert "manifest.json: changed" in harness("report", run, code=1).stderr  # also after it was written again


def test_planned_trials_count_before_they_begin(tmp_path: Path) -> None:
    swept = {"sweep": {"record.seconds": [2, 3]}, "trials": {"repeat": 6}}
    RunFolder.create(tmp_path, spec.from_dict({**DATA, **swept}), [])
    assert "0/12" in harness("ls", "--runs", tmp_path).stdout
