"""docs/api.md: its examples run, show what the page shows, and have the types that the API promises.

The ```python blocks run one after the other, as the cells of a notebook do; the ```text block below one is what it
shows, where `...` stands for what is left out.
`PYTHONPATH=.:tests/helpers python tests/unit/docs/test_api.py` writes what they show now into the page.
"""

from __future__ import annotations

import ast
import doctest
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from campaigns import unpack_campaign
from command_line import LIMIT_S
from locations import ROOT
from workshop import workshop

import harness
import model

PAGE = ROOT / "docs" / "api.md"
CELL = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
SHOWN_AS = ("display.width", 120, "display.max_columns", 20, "display.max_colwidth", 60, "display.precision", 3)
STRICT = (
    "disallow-any-generics, disallow-untyped-calls, disallow-untyped-defs, disallow-incomplete-defs, "
    "disallow-subclassing-any, warn-return-any, extra-checks"
)
WRONG = (  # where nothing is wrong with it, the comment is an error
    "harness.opn_run()  # type: ignore[attr-defined]",
    "model.evaluate(1, run)  # type: ignore[arg-type]",
    "recording.frame(1)  # type: ignore[arg-type]",
)


def cells() -> list[tuple[str, str]]:
    """The code of each cell, and what the page shows below it."""
    return [(code, shown) for code, shown in CELL.findall(PAGE.read_text("utf-8"))]


def shown_by(code: str, names: dict[str, Any]) -> str:
    """Run a cell; return what it prints, and the value of a last line that is an expression."""
    tree, printed = ast.parse(code), StringIO()
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, "api.md", "exec"), names)
        if last:
            value = eval(compile(ast.Expression(last.value), "api.md", "eval"), names)
            if value is not None:
                print(repr(value))
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def _folder(folder: Path) -> Path:
    """The folder that the page works in: a workshop, and a campaign among its runs."""
    unpack_campaign(workshop(folder) / "runs")
    return folder


def run_page() -> Iterator[tuple[str, str, str]]:
    """The code of each cell, what the page shows, and what the cell shows in this folder."""
    names: dict[str, Any] = {"__name__": "api"}
    with pd.option_context(*SHOWN_AS):
        for code, shown in cells():
            yield code, shown, shown_by(code, names)


@pytest.mark.slow
def test_the_examples_show_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_folder(tmp_path))
    for code, shown, printed in run_page():
        assert doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS), f"{code}\n{printed}"


@pytest.mark.slow
def test_the_examples_have_the_types_that_a_strict_checker_asks_for(tmp_path: Path) -> None:
    examples = tmp_path / "examples.py"
    examples.write_text(f"# mypy: {STRICT}\n" + "\n".join([*(code for code, _ in cells()), *WRONG]), "utf-8")
    mypy = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", examples]
    done = subprocess.run(
        mypy, cwd=ROOT, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", [harness, model])
def test_the_page_names_all_that_the_packages_offer(package: Any) -> None:
    text = PAGE.read_text("utf-8")
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
        assert re.search(rf"\b{name}\b", text), name


def _refresh() -> None:
    """Write what the cells show now below them, where it is not what the page shows."""
    text = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(_folder(Path(folder)))
        for code, shown, printed in run_page():
            if not doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS):
                now = f"\n```text\n{printed}```\n" if printed else ""
                was = f"\n```text\n{shown}```\n" if shown else ""
                text = text.replace(f"```python\n{code}```\n{was}", f"```python\n{code}```\n{now}")
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    _refresh()
