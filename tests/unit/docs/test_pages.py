"""README and docs: their commands are valid, print the output shown beside them, and their links lead somewhere.

Every command in a ```console block has to exist with its options. Where its output stands in the same block, it is run
and has to print that; a line of `...` stands for lines left out. Each page has a folder with the recording
`perf.data`, its tables in `tables`, a run in `runs` and stored models in `models`; its commands run in their order.
Output in a block of its own comes from a command that needs a machine or hours. No command stands in another block.

`PYTHONPATH=tests/helpers python tests/unit/docs/test_pages.py` writes the present output into the pages.
"""

from __future__ import annotations

import doctest
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from command_line import LIMIT_S
from locations import ROOT
from one_process import one_after_the_other
from typer.testing import CliRunner
from workshop import workshop

from harness import workers
from harness.cli import app

pytestmark = pytest.mark.slow

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"[A-Z_]+=")  # of the environment, before a command
COMMAND = re.compile(
    r"^[ >]*(?:\$ |(?:[A-Z_]+=\S* )*(?:harness|make|pip|pytest|python|sudo|vagrant|virsh|\./\w\S*) ).*", re.MULTILINE
)
SHOWN_AS = {"COLUMNS": "120", "NO_COLOR": "1"}
GROUPS = ("trace", "box", "model")


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page, continued lines joined, and the output shown below it."""
    for block in BLOCK.findall(page.read_text("utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.replace("\\\n", "").partition("\n")
            yield command, shown.strip()


def words(command: str) -> tuple[str, list[str]]:
    """The program of a command and its arguments, without settings of the environment before it."""
    program, *arguments = itertools.dropwhile(SETTING.match, shlex.split(command))
    return program, arguments


def outside_console(text: str) -> list[str]:
    """The lines of other fenced or indented blocks that are commands; nothing checks these."""
    rest = BLOCK.sub("", text)
    blocks = [*FENCE.findall(rest), *re.findall(r"^ {4}.*", FENCE.sub("", rest), re.MULTILINE)]
    return [line.strip() for block in blocks for line in COMMAND.findall(block)]


def run(command: str, folder: Path) -> str:
    """The output of `harness ...` or `python ...` in `folder`, errors included, without trailing blanks."""
    program, *arguments = shlex.split(command)
    printed = {"harness": _run_harness, "python": _run_python}[program](arguments, folder)
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip()


def _run_harness(arguments: Sequence[str], folder: Path) -> str:
    """Run it in this process, which has imported already what each new one would import for a second or more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(workers, "run_in_processes", one_after_the_other)
        return str(CliRunner().invoke(app, arguments, env=SHOWN_AS, catch_exceptions=False).output)


def _run_python(arguments: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, **SHOWN_AS, "PYTHONPATH": str(ROOT)}
    command, pipe = [sys.executable, *arguments], subprocess.PIPE
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S
    )
    return done.stdout


def matches(shown: str, printed: str) -> bool:
    """Whether the output is the one shown, where a line of `...` stands for any lines."""
    return doctest.OutputChecker().check_output(shown + "\n", printed + "\n", doctest.ELLIPSIS)


def name(page: Path) -> str:
    return page.stem


WITH_OUTPUT = [page for page in PAGES if any(shown for _, shown in commands(page))]


@pytest.mark.parametrize("page", WITH_OUTPUT, ids=name)
def test_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    folder = workshop(tmp_path)
    for command, shown in commands(page):
        if shown:
            printed = run(command, folder)
            assert matches(shown, printed), f"$ {command}\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist_with_their_options(page: Path, tmp_path: Path) -> None:
    helped: dict[tuple[str, ...], str] = {}
    for command, _ in commands(page):
        program, arguments = words(command)
        if program in ("python", "pytest") and arguments[0] != "-c":
            source = (ROOT / arguments[0]).read_text("utf-8")
            for option in filter(re.compile("--[a-z]").match, arguments):
                assert f'"{option.partition("=")[0]}"' in source, command
        if program == "harness":
            path = tuple(arguments[: 2 if arguments[0] in GROUPS else 1])
            if path not in helped:
                helped[path] = run(shlex.join(["harness", *path, "--help"]), tmp_path)
            assert "Usage" in helped[path], command
            for option in (word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)):
                assert option in helped[path], command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_stands_in_a_block_that_is_checked(page: Path) -> None:
    opening = ("make run ", "make test ")  # of the README, which has a test of its own
    found = [line for line in outside_console(page.read_text("utf-8")) if not line.startswith(opening)]
    assert found == []


@pytest.mark.parametrize(
    "block",
    [
        "```\n$ harness ls\nno runs\n```",
        "```\n$ python x.py --loops 3\n3 loops\n```",
        "```sh\nharness ls\n```",
        "- a list:\n\n  ```\n  $ ls\n  ```",
        "```text\nA=1 B=2 pytest tests\n```",
        "    python benchmarks/paper.py RECORDING",
        "```console\n$ harness ls\n```\n\n```\n$ harness show\n```",
    ],
)
def test_a_command_in_any_other_block_is_noticed(block: str) -> None:
    assert len(outside_console(f"Text.\n\n{block}\n\nMore text.\n")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ harness ls\n```",
        "```console\n$ harness ls\n```\n\n```\nharness-ready\n```",
        "harness ls and\npython x.py are words of a sentence",
        "```yaml\nname: first\n```",
    ],
)
def test_output_and_sentences_are_no_commands(text: str) -> None:
    assert outside_console(f"Text.\n\n{text}\n\nMore text.\n") == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_opens_with_the_two_commands_and_the_makefile_has_them() -> None:
    head, makefile = (ROOT / "README.md").read_text("utf-8")[:2500], (ROOT / "Makefile").read_text("utf-8")
    for target in ("run", "test"):
        assert f"\n    make {target} " in head
        assert f"\n{target}:" in makefile


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def _refresh() -> None:
    """Write what the commands print now below them, where it is not what is shown."""
    for page in WITH_OUTPUT:
        text = page.read_text("utf-8")
        with tempfile.TemporaryDirectory() as folder:
            workshop(Path(folder))
            for command, shown in commands(page):
                if shown and not matches(shown, printed := run(command, Path(folder))):
                    text = text.replace(shown, printed.replace(folder, "..."))
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    _refresh()
