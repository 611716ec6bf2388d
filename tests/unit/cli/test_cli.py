"""The command: exit codes, messages without tracebacks, and what `--help` costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from harness import spec
from harness.cli import app
from harness.cli.output import handled
from harness.errors import HarnessError
from harness.store import RunFolder

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
RUN = spec.from_dict({"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}})
COMMANDS = ["run", "ls", "show", "report", "verify", "down", "loads", "schema", "doctor", "box"]
runner = CliRunner()


def harness(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HARNESS, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, "no experiment is named"),
        (["run", "nope.yaml"], 2, "no such file"),
        (["run", "nginx_ab", "--set", "load.concurency=5", "--dry-run"], 2, "did you mean 'concurrency'"),
        (["run", "nginx_ab", "--set", "load.concurrency", "--dry-run"], 2, "PATH=VALUE"),
        (["run", "nginx_ab", "--load", "nginx_abb", "--dry-run"], 2, "nginx_ab"),
        (["run", "nginx_ab", "--machine", "a/b/c", "--dry-run"], 2, "machine"),
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
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
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
