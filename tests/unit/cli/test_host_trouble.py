"""What a host denies has a sentence and an exit code of its own; only what nobody foresaw is called a defect."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic_run
from command_line import HARNESS, LIMIT_S
from kept import unpacked_into

from harness.cli.host_trouble import MEANT, MISTYPED, SENTENCES, host_trouble
from harness.errors import EXIT_HOST, EXIT_USAGE

LONG = "a" * 300


def run(*arguments: str | Path, shell: str = '"$@"', **options: object) -> subprocess.CompletedProcess[str]:
    """Run the real command in a shell that may redirect it."""
    command = ["bash", "-c", shell, "bash", *HARNESS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, **options)  # type: ignore[call-overload, no-any-return]


def limited(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


@pytest.mark.parametrize("number", [*SENTENCES, *MISTYPED])
def test_an_error_of_the_system_is_said_in_words_with_its_file(number: int) -> None:
    said = host_trouble(OSError(number, os.strerror(number), "some/file"))
    assert said is not None
    assert said.exit_code == (EXIT_USAGE if number in MISTYPED else EXIT_HOST)
    assert said.where == "some/file"
    assert said.hint or said.expected


@pytest.mark.parametrize("error", [MemoryError(), *map(RuntimeError, MEANT), ImportError("failed to map segment")])
def test_too_little_memory_is_said_whichever_library_met_it(error: Exception) -> None:
    said = host_trouble(error)
    assert said is not None
    assert said.exit_code == EXIT_HOST


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), ImportError("x"), OSError(errno.ENOENT, "x", "y")])
def test_what_nobody_foresaw_is_none_of_these(error: Exception) -> None:
    assert host_trouble(error) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["run", LONG], ["run", LONG, "--resume"], ["ls", "--runs", LONG], ["show", LONG], ["verify", LONG],
     ["report", LONG],
     ["evaluate", LONG], ["train", LONG], ["predict", LONG, "--model", LONG], ["model", "export", LONG, "--to", "c"],
     ["trace", "convert", LONG, "-o", "out"], ["trace", "summary", LONG], ["box", "import", LONG]],
    ids=lambda arguments: " ".join(arguments[:2])[:20],
)  # fmt: skip
def test_a_name_that_no_file_can_have_is_refused_by_every_command(arguments: list[str], tmp_path: Path) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode in (1, EXIT_USAGE, EXIT_HOST)
    assert "defect" not in ended.stderr
    assert "error: " in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["ls"], ["ls", "--json"], ["schema"], ["--help"], ["box", "ls"]])
def test_without_stdout_a_command_says_so_and_does_nothing(arguments: list[str], tmp_path: Path) -> None:
    ended = run(*arguments, shell='"$@" >&-', cwd=tmp_path)
    assert ended.returncode == EXIT_HOST
    assert "stdout is closed" in ended.stderr


@pytest.mark.slow
def test_without_stderr_a_command_does_its_work(tmp_path: Path) -> None:
    ended = run("ls", shell='"$@" 2>&-', cwd=tmp_path)
    assert ended.returncode == 0
    assert "no runs" in ended.stdout


@pytest.mark.slow
def test_a_device_that_takes_no_output_is_a_full_disk(tmp_path: Path) -> None:
    ended = run("schema", shell='"$@" > /dev/full', cwd=tmp_path)
    assert ended.returncode == EXIT_HOST
    assert "the disk is full" in ended.stderr


@pytest.mark.slow
def test_few_open_files_are_said(tmp_path: Path) -> None:
    recording = unpacked_into(tmp_path, "nginx_ab_one_cpu")
    assert run("trace", "convert", recording, "-o", tmp_path / "tables").returncode in (0, 1)
    files = limited(resource.RLIMIT_NOFILE, 12)
    ended = run("evaluate", tmp_path / "tables", "-p", "markov", cwd=tmp_path, preexec_fn=files)
    assert ended.returncode == EXIT_HOST
    assert "this process has as many files open as it may" in ended.stderr


@pytest.mark.slow
def test_little_memory_is_said(tmp_path: Path) -> None:
    memory = limited(resource.RLIMIT_AS, 300 << 20)
    ended = run("evaluate", tmp_path, "-p", "markov", cwd=tmp_path, preexec_fn=memory)
    assert ended.returncode == EXIT_HOST
    assert "this host has too little memory" in ended.stderr


@pytest.mark.slow
def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    ended = run("trace", "convert", "x", "-o", "y", shell='rmdir "$PWD"; "$@"', cwd=tmp_path / "gone")
    assert ended.returncode in (1, EXIT_USAGE, EXIT_HOST)
    assert "defect" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["show", "RUN"], ["run", "smoke", "--dry-run"], ["doctor"]])
def test_a_terminal_that_has_ascii_alone_is_sent_nothing_else(arguments: list[str], tmp_path: Path) -> None:
    folder = str(synthetic_run.make_run(tmp_path / "run", 100))
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = run(*(folder if word == "RUN" else word for word in arguments), env={**os.environ, **plain})
    assert ended.returncode in (0, EXIT_HOST)  # what a doctor finds is another matter
    assert (ended.stdout + ended.stderr).isascii()
    assert "defect" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["HOME", "HARNESS_CACHE"])
def test_a_home_or_a_cache_that_is_a_file_is_said(variable: str, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    known = {name: value for name, value in os.environ.items() if name not in ("HARNESS_CACHE", "XDG_CACHE_HOME")}
    ended = run("box", "ls", cwd=tmp_path, env={**known, variable: str(file)})
    assert ended.returncode == EXIT_HOST
    assert "the cache cannot be read: Not a directory" in ended.stderr
