"""Shared by every command: exit codes, messages instead of tracebacks, JSON."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command_line import HARNESS, LIMIT_S, harness

from harness.cli.output import Output, handled
from harness.errors import HarnessError, Interrupted


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from harness.cli import app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    heavy = {"torch", "pandas", "numpy", "pyarrow", "fabric", "pydantic", "ansible_runner"}
    assert heavy.isdisjoint(loaded.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("command", [["ls"], ["loads"], ["box", "ls"]])
def test_commands_that_only_list_import_no_tables_and_no_models(command: list[str], tmp_path: Path) -> None:
    code = "import sys; from harness.cli import app; app(standalone_mode=False); print(*sys.modules)"
    arguments = [sys.executable, "-c", code, *command]
    listed = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    heavy = {"torch", "pandas", "numpy", "pyarrow", "jinja2", "fabric", "ansible_runner"}
    assert heavy.isdisjoint(listed.stdout.split())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_letter_that_the_terminal_does_not_have_is_spelt_out(encoding: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    (tmp_path / "漢").mkdir()
    command = [*HARNESS, "ls", "--runs", str(tmp_path / "漢")]
    listed = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=LIMIT_S)
    assert f"no runs in {tmp_path}/\\u6f22; start one".encode() in listed.stdout


def test_the_schema_is_json_schema() -> None:
    assert json.loads(harness("schema").stdout)["properties"]["load"]


def test_an_unexpected_exception_is_called_a_defect_and_its_traceback_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path))

    @handled
    def broken() -> None:
        raise ZeroDivisionError("oh")

    with pytest.raises(typer.Exit) as ended:
        broken()
    assert ended.value.exit_code == 1
    message = capsys.readouterr().err
    assert "a defect of harness: ZeroDivisionError: oh" in message
    assert "Traceback" not in message
    assert "Traceback" in next((tmp_path / "crashes").iterdir()).read_text()


def test_an_expected_error_keeps_its_exit_code() -> None:
    @handled
    def failing() -> None:
        raise HarnessError("no [good]", hint="try [this]")

    with pytest.raises(typer.Exit) as ended:
        failing()
    assert ended.value.exit_code == 1


def test_an_interrupt_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    @handled
    def stopped() -> None:
        raise Interrupted("stopped by SIGTERM", hint="go on with --resume")

    with pytest.raises(typer.Exit) as ended:
        stopped()
    assert ended.value.exit_code == 130
    assert "stopped by SIGTERM" in capsys.readouterr().err


def test_a_full_disk_exits_with_3_wherever_it_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    @handled
    def writing() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/file")

    with pytest.raises(typer.Exit) as ended:
        writing()
    assert ended.value.exit_code == 3
    assert "/somewhere/file: the disk is full" in capsys.readouterr().err


def test_nan_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).data({"nats": float("nan"), "path": Path("a")})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"nats": None, "path": "a"}
