"""The command: exit codes, messages without tracebacks, and what `--help` costs."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command_line import LIMIT_S
from command_line import ended as harness
from typer.testing import CliRunner

from harness import machines, spec
from harness.cli import app
from harness.cli.output import Output, handled
from harness.errors import HarnessError, Interrupted, MachineError
from harness.machines import registry
from harness.store import RunFolder

RUN = spec.from_dict({"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}})
COMMANDS = ["run", "ls", "show", "report", "verify", "down", "loads", "schema", "doctor", "box"]
runner = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, "no experiment is named"),
        (["run", "nope.yaml"], 2, "no such file"),
        (["run", "nginx_ab", "--set", "load.concurency=5", "--dry-run"], 2, "did you mean 'concurrency'"),
        (["run", "nginx_ab", "--set", "load.concurrency", "--dry-run"], 2, "PATH=VALUE"),
        (["run", "nginx_ab", "--load", "nginx_abb", "--dry-run"], 2, "nginx_ab"),
        (["run", "nginx_ab", "--machine", "a/b/c", "--dry-run"], 2, "machine"),
        (["run", "nginx_ab", "--machine", "debain-12"], 2, "did you mean 'debian-12'"),
        (["run", "nginx_ab", "--set", "machine.fallback=debain-12"], 2, "did you mean 'debian-12'"),
        (["run", "nginx_ab", "--set", "model.predictors=[lstmm]", "--dry-run"], 2, "lstm"),
        (["run", "--resume"], 2, "no unfinished run"),
        (["run", "--resume", "--set", "a=b"], 2, "--resume goes on with a run as it was asked for"),
        (["show"], 2, "there are no runs yet"),
        (["show", "2020"], 2, "there is no run '2020'"),
        (["verify", "2020"], 2, "there is no run '2020'"),
        (["report", "2020"], 2, "there is no run '2020'"),
        (["box", "build", "debain-12"], 2, "did you mean 'debian-12'"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_a_wrong_call_is_one_clear_message(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    ended = harness(*arguments, cwd=tmp_path)
    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_a_mistake_is_answered_with_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("name: e\nmachine: {box: debian-12}\nload:\n  kind: nginx_ab\n  concurency: 5\n")
    ended = harness("run", "e.yaml", cwd=tmp_path)
    assert ended.returncode == 2
    assert "e.yaml:5:3" in ended.stderr


def test_an_error_is_json_when_json_is_asked_for(tmp_path: Path) -> None:
    ended = harness("run", "nope.yaml", "--json", cwd=tmp_path)
    told = json.loads(ended.stdout)
    assert (told["event"], told["exit_code"], told["type"]) == ("error", 2, "SpecError")


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    ended = harness("run", "experiments/nginx_ab.yaml", "--dry-run", "--json", cwd=tmp_path)
    assert [row["name"] for row in json.loads(ended.stdout)["trials"]] == [f"00{i}_nginx_ab" for i in range(3)]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_does_not_hide_the_others(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs", RUN, [])
    (tmp_path / "runs" / "2020-01-01T00-00-00_x").mkdir()
    (tmp_path / "runs" / "2020-01-01T00-00-00_x" / "manifest.json").write_text("{")
    ended = harness("ls", cwd=tmp_path)
    assert ended.returncode == 0
    assert "_one" in ended.stdout
    assert "damaged" in ended.stdout


def test_verify_names_a_changed_file_and_exits_with_1(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", RUN, [])
    page = folder.path / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("as written")
    folder.finish("report", [page])
    assert harness("verify", cwd=tmp_path).returncode == 0
    page.write_text("changed")
    ended = harness("verify", cwd=tmp_path)
    assert ended.returncode == 1
    assert "report/index.html" in ended.stdout


def test_the_schema_is_json_schema() -> None:
    assert json.loads(harness("schema").stdout)["properties"]["load"]


def test_every_command_explains_itself() -> None:
    for command in COMMANDS:
        shown = runner.invoke(app, [command, "--help"])
        assert shown.exit_code == 0
        assert len(shown.stdout.splitlines()) > 4


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from harness.cli import app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    heavy = {"torch", "pandas", "numpy", "pyarrow", "fabric", "pydantic", "ansible_runner"}
    assert heavy.isdisjoint(loaded.stdout.split())


def test_what_nobody_foresaw_is_called_a_defect_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path))

    @handled
    def broken() -> None:
        raise ZeroDivisionError("oh")

    with pytest.raises(typer.Exit) as ended:
        broken()
    assert ended.value.exit_code == 1
    told = capsys.readouterr().err
    assert "a defect of harness: ZeroDivisionError: oh" in told
    assert "Traceback" not in told
    assert "Traceback" in next((tmp_path / "crashes").iterdir()).read_text()


def test_an_error_that_was_foreseen_keeps_its_exit_code() -> None:
    @handled
    def failing() -> None:
        raise HarnessError("no [good]", hint="try [this]")

    with pytest.raises(typer.Exit) as ended:
        failing()
    assert ended.value.exit_code == 1


def test_being_stopped_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    @handled
    def stopped() -> None:
        raise Interrupted("stopped by SIGTERM", hint="go on with --resume")

    with pytest.raises(typer.Exit) as ended:
        stopped()
    assert ended.value.exit_code == 130
    assert "stopped by SIGTERM" in capsys.readouterr().err


def test_a_full_disk_is_the_hosts_lack_wherever_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    @handled
    def writing() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/file")

    with pytest.raises(typer.Exit) as ended:
        writing()
    assert ended.value.exit_code == 3
    assert "/somewhere/file: the disk is full" in capsys.readouterr().err


def test_a_trial_whose_load_counts_no_requests_is_shown(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", RUN, [])
    folder.finish("trial:000_idle", detail={"switches": 9, "contested_share": None, "requests_per_s": None})
    ended = harness("show", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "usable" in ended.stdout


def test_a_long_path_with_brackets_is_printed_in_one_piece(tmp_path: Path) -> None:
    runs = tmp_path / ("long" * 30) / "[red]"
    folder = RunFolder.create(runs, RUN, [])
    ended = harness("report", "--runs", str(runs), cwd=tmp_path)
    assert ended.stdout == f"{folder.path / 'report' / 'index.html'}\n"


def test_what_is_no_number_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).data({"nats": float("nan"), "path": Path("a")})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"nats": None, "path": "a"}


def test_a_machine_that_stays_does_not_keep_the_others_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(entry: registry.Entry) -> None:
        if entry.domain == "stuck":
            raise MachineError("it stays")
        removed.append(entry.domain)

    removed: list[str] = []
    left = [registry.Entry(name, "libvirt", str(tmp_path), 1, "", 0.0) for name in ("stuck", "other")]
    monkeypatch.setattr(machines, "left_behind", lambda: left)
    monkeypatch.setattr(machines, "remove", remove)
    ended = runner.invoke(app, ["down"])
    assert (ended.exit_code, removed) == (3, ["other"])
    assert "1 of 2 machines could not be removed: it stays" in ended.output
