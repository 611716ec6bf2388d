"""Every command alike: its help, its streams, and the form of its JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comparable_run
import pytest
import typer.main
import written_before
from boxes_on_disk import forge_box, forge_provisioned, use_empty_folders
from command_line import LIMIT_S, harness

from harness import doctor
from harness.boxes import cache
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


@pytest.mark.parametrize("command", [path for path in tree() if path], ids=" ".join)
def test_a_wrong_argument_of_any_command_exits_with_2(command: tuple[str, ...]) -> None:
    ended = harness(*command, "--no-such-option", code=2)
    assert (ended.stdout, ended.stderr.splitlines()[0]) == ("", "error: No such option: --no-such-option")


@pytest.mark.parametrize(
    "words",
    """run gone.yaml
repeat gone
ls --runs gone
show gone
report gone
verify gone
train gone -o out
train . --test gone -o out
evaluate gone
evaluate . --model gone
predict gone --model .
predict . --model gone
trace convert gone -o out
trace summary gone
trace export gone --to csv -o out
trace import gone -o out
model export gone -o out
model compare gone
box build gone
box lock gone
box verify gone
box rm gone
box export gone file
box import gone
init gone/x.yaml
init --from gone
predictors gone
help gone""".splitlines(),
)
def test_a_path_or_name_that_leads_nowhere_exits_with_2(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = harness(*words.split(), code=2)
    assert ended.stderr.startswith("error: ")
    assert "gone" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    """train empty -o out
train TABLES --test empty -o out
evaluate empty
evaluate TABLES --model empty
predict empty --model .
predict TABLES --model empty
trace convert empty -o out
trace summary empty
trace import empty -o out
model show empty
model export empty -o out
model compare empty
show empty
rm empty
run empty
box import empty""".splitlines(),
)
def test_a_folder_that_holds_nothing_of_what_is_meant_exits_with_2(
    words: str, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    ended = harness(*words.replace("TABLES", str(tables)).split(), code=2)
    assert "error: " in ended.stderr
    assert "empty" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_box_that_is_not_built_is_a_lack_of_this_host_and_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    assert "harness box build debian-13" in harness("box", "verify", "debian-13", code=3).stderr


def test_no_runs_where_no_folder_is_named_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no runs in runs" in harness("ls").stdout


@pytest.mark.parametrize("width", [60, 100])
def test_tables_keep_every_word_on_a_narrow_terminal(
    width: int, tables: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))  # boxes of others may come meanwhile
    run, other = (comparable_run.make(tmp_path / f"2026-01-01T00-00-00_{name}").path for name in "ab")
    harness("train", tables, "-p", "markov", "-p", "most_frequent", "-o", tmp_path / "models")
    for command in (
        ["ls", "--runs", tmp_path],
        ["show", run],
        ["repeat", run, "--with", other],
        ["run", "smoke", "--dry-run"],
        ["loads"],
        ["loads", "nginx_ab"],
        ["predictors"],
        ["box", "ls"],
        ["evaluate", tables, "--model", tmp_path / "models" / "markov_s0"],
        ["predict", tables, "--model", tmp_path / "models" / "markov_s0", "--events", "3"],
        ["model", "compare", tmp_path / "models", "markov", "most_frequent"],
        ["trace", "summary", raw],
    ):
        require_every_word(command, width, monkeypatch)


def require_every_word(command: list[str | Path], width: int, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
    """Run a command on a wide and on a narrow terminal: the narrow one shows all that the wide one does."""
    words = []
    for columns in (1000, width):
        monkeypatch.setenv("COLUMNS", str(columns))
        words.append(set(harness(*command, code=code).stdout.split()))
    assert words[0], command
    assert {word for word in words[0] if "─" not in word} <= words[1], command


@pytest.mark.parametrize("width", [60, 100])
def test_what_names_models_and_runs_keeps_every_word_on_a_narrow_terminal(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written_before.unpack(tmp_path / "before")
    run = before / written_before.RUN
    (run / "models" / "lstm_s0" / "scores.json").write_text("{}")
    (run / "report" / "more.html").touch()
    require_every_word(["verify", run], width, monkeypatch, code=1)
    require_every_word(["label", run, "one of two that differ in the load"], width, monkeypatch)
    require_every_word(["predictors", "replay_residual"], width, monkeypatch)
    for name in ("gru", "decision_tree", "replay_residual"):
        require_every_word(["model", "show", before / "models", "-p", name], width, monkeypatch)
    for columns in (1000, width):
        monkeypatch.setenv("COLUMNS", str(columns))
        copy = comparable_run.make(tmp_path / f"2026-01-02T00-00-00_{columns}").path
        assert harness("rm", copy, "--yes").stdout.startswith("removed 1 run, ")


@pytest.mark.parametrize("width", [60, 100])
def test_what_names_parts_of_the_host_keeps_every_word_on_a_narrow_terminal(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [*doctor.python_packages(), *doctor.trace_engine(), *doctor.disk_space(), *doctor.keyrings()]
    missing = doctor.HostCheck("vagrant", False, "not installed", doctor.SET_UP)
    monkeypatch.setattr(doctor, "check_host", lambda: [*found, missing])  # the rest asks Vagrant, for seconds
    require_every_word(["doctor"], width, monkeypatch, code=3)
    use_empty_folders(tmp_path, monkeypatch)
    forge_provisioned(forge_box(cache.root(), "debian-12"))
    require_every_word(["box", "prune", "--all", "--dry-run"], width, monkeypatch)
    require_every_word(["box", "verify", "debian-12"], width, monkeypatch)
