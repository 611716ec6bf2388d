"""`harness rm` and `harness label`, on the run folder of a real campaign."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import written_before
from command_line import harness
from killed import moments, run_killed

from harness import spec
from harness.machines import registry
from harness.store import RunFolder, find_runs, removal

EXPERIMENT = spec.from_dict({"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in a folder of its own, with another beside it and a link in it to a file outside."""
    written_before.unpack(tmp_path)
    run = (tmp_path / written_before.RUN).rename(tmp_path / written_before.RUN.replace("smoke", "first"))
    RunFolder.create(tmp_path, EXPERIMENT, [])
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    (run / "link").symlink_to(tmp_path / "outside")
    return run


def test_a_run_is_removed_whole_and_nothing_outside_of_it(run: Path) -> None:
    assert harness("rm", run, "--yes").stdout.startswith("removed 1 run, 1.")
    assert not run.exists()
    assert (run.parent / "outside" / "kept").read_text() == "kept"
    assert len(find_runs(run.parent)) == 1
    assert not list(run.parent.glob(".*"))


def test_without_a_terminal_nothing_is_removed_unasked(run: Path) -> None:
    assert "--yes removes them without asking" in harness("rm", run, code=2).stderr
    assert run.is_dir()


def test_what_is_no_run_stays_and_so_do_the_runs_named_beside_it(run: Path) -> None:
    foreign = run.parent / "extension"
    foreign.mkdir()
    (foreign / "manifest.json").write_text('{"manifest_version": 3}')
    link = run.parent / "link_to_run"
    link.symlink_to(run)
    for other, words in ((foreign, "a run folder"), (link, "this is a link to"), ("no_such", "there is no run")):
        assert words in harness("rm", run, other, "--yes", "--runs", run.parent, code=2).stderr
    assert run.is_dir()
    assert foreign.is_dir()


def test_a_run_with_a_damaged_manifest_can_be_removed(run: Path) -> None:
    (run / "manifest.json").write_text("{")
    harness("rm", run, "--yes")
    assert not run.exists()


def test_a_run_under_way_and_one_whose_machine_is_up_stay(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder.open(run).lock():
        assert f"process {os.getpid()}" in harness("rm", run, "--yes", code=1).stderr
    entry = registry.Entry("guest", "libvirt", str(run / "machine" / "guest"), 1, "", 0.0)
    monkeypatch.setattr("harness.machines.entries", lambda: [entry])
    assert "the machine guest of this run is up" in harness("rm", run, "--yes", code=2).stderr
    assert run.is_dir()


def test_a_removal_that_is_killed_leaves_the_run_or_none_and_the_rest_goes_with_the_next(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "count", EXPERIMENT, []).path
    for number in moments(lambda: removal.remove(made), tmp_path):
        runs = tmp_path / str(number)
        run, other = (RunFolder.create(runs, EXPERIMENT, []).path for _ in range(2))
        run_killed(lambda run=run: removal.remove(run), runs, number)  # type: ignore[misc]
        assert find_runs(runs) in ([other], [run, other])
        if run.exists():
            RunFolder.open(run)
        removal.remove(other)
        assert not [path for path in runs.iterdir() if path != run]


def test_a_label_is_shown_changes_no_hash_and_can_be_taken_away(run: Path) -> None:
    harness("label", run, "busy host, do not cite")
    assert "busy host, do not cite" in harness("ls", "--runs", run.parent).stdout
    assert "busy host, do not cite" in harness("show", run).stdout
    assert json.loads(harness("show", run, "--json").stdout)["label"] == "busy host, do not cite"
    harness("verify", run)
    with RunFolder.open(run).lock():
        harness("label", run, "")  # also while another process works in it
    assert "cite" not in harness("show", run).stdout
    assert "one line" in harness("label", run, "two\nlines", code=2).stderr
    assert "no UTF-8" in harness("label", run, "\udcff", code=2).stderr


def test_a_label_that_would_name_another_run_is_refused_and_one_that_is_given_again_is_not(run: Path) -> None:
    (other,) = (each for each in find_runs(run.parent) if each != run)
    harness("label", run, "baseline")
    harness("label", run, " baseline ")
    refused = harness("label", other, "baseline", code=2).stderr
    assert f"'baseline' is the label of the run {run.name}" in refused
    assert f'harness label {run} ""' in refused
    for text in (run.name, run.name[:13]):
        assert f"begins the name of the run {run.name}" in harness("label", other, text, code=2).stderr
    harness("label", other, other.name[:13])  # the beginning of its own name
    harness("label", run, "")
    harness("label", other, "baseline")
    assert "baseline" in harness("show", "baseline", "--runs", run.parent).stdout


def test_a_label_commands_no_terminal(run: Path) -> None:
    (run / "label.txt").write_text("a\x1b[2Jb")
    assert r"a\x1b[2Jb" in harness("show", run).stdout
