"""docs/compare.md and README.md: what they show of the campaign of these tests is what `harness compare` prints.

`PYTHONPATH=.:tests/helpers python tests/unit/docs/test_compare.py` writes what it prints now into the pages.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

import pytest
from campaigns import unpack_campaign
from command_line import harness
from locations import ROOT

PAGES = (ROOT / "docs" / "compare.md", ROOT / "README.md")
EXAMPLE = re.compile(r"\$ harness run levels\n\$ harness (compare[^\n]*)\n```\n\n```\n(.*?)```", re.DOTALL)
COLUMNS = "140"


def examples() -> list[tuple[Path, str, str]]:
    """The page, the arguments of the command, and what the page shows below it."""
    return [(page, *example) for page in PAGES for example in EXAMPLE.findall(page.read_text("utf-8"))]


def printed(arguments: str, runs: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", COLUMNS)
        lines = harness(*shlex.split(arguments), "--runs", runs).stdout.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_campaign(tmp_path_factory.mktemp("compared") / "runs").parent


def test_each_page_has_an_example() -> None:
    assert {page for page, _, _ in examples()} == {*PAGES}


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "shown"), [example[1:] for example in examples()])
def test_an_example_shows_what_the_command_prints(arguments: str, shown: str, runs: Path) -> None:
    assert printed(arguments, runs) == shown


def _refresh() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = unpack_campaign(Path(folder) / "runs").parent
        for page, arguments, shown in examples():
            now = printed(arguments, runs)
            page.write_text(page.read_text("utf-8").replace(f"```\n{shown}```", f"```\n{now}```"), "utf-8")


if __name__ == "__main__":
    _refresh()
