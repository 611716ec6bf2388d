"""docs/query.md: its tables are those of queries, and its answers those of a run of real recordings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import queried_runs
from command_line import harness
from locations import ROOT

from harness.query.schema import TABLES

PAGE = (ROOT / "docs" / "query.md").read_text("utf-8")
QUESTIONS = re.findall(r"```sql\n(.*?)\n```\n\n```\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_every_table_and_every_column_with_its_type_and_meaning() -> None:
    _, *sections = re.split(r"^### `(\w+)`: ", PAGE, flags=re.MULTILINE)
    named = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(named) == list(TABLES)
    for name, section in named.items():
        row, _, rest = section.partition("\n")
        assert row == TABLES[name].row
        columns = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", rest, re.MULTILINE)
        assert columns == [(column.name, column.type, column.meaning) for column in TABLES[name].columns]


def test_the_page_asks_ten_questions() -> None:
    assert len(QUESTIONS) == 10


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("queried") / "runs"
    queried_runs.record(runs)
    return runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "answer"), QUESTIONS, ids=[str(number) for number in range(1, len(QUESTIONS) + 1)]
)
def test_the_answer_to_a_question_is_that_of_the_page(question: str, answer: str, runs: Path) -> None:
    given = harness("query", question, "--runs", runs).stdout
    assert [line.rstrip() for line in given.splitlines()] == answer.splitlines()
