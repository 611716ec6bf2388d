"""Tables on wide and narrow terminals: every name and number is whole, whatever the width."""

from __future__ import annotations

import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.terminal.console import PlainConsole
from harness.terminal.plain_table import PlainTable, plain_table

WORD = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=30)
SENTENCE = st.lists(WORD, min_size=1, max_size=8).map(" ".join)


def printed(table: PlainTable, width: int) -> list[str]:
    console = PlainConsole(io.StringIO(), width=width)
    console.show(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def scores() -> PlainTable:
    table = plain_table("predictor", "inputs", ">contested", ">top-1", ">time bits")
    table.add_row("markov, online", "marks", "87.2% ±1.3", "90.6%", "8.89")
    return table


def test_a_table_that_fits_is_one_table() -> None:
    lines = printed(scores(), 60)
    assert [" ".join(line.split()) for line in lines] == [
        "predictor inputs contested top-1 time bits",
        "markov, online marks 87.2% ±1.3 90.6% 8.89",
    ]


def test_columns_that_do_not_fit_follow_below_beside_the_names() -> None:
    lines = printed(scores(), 36)
    assert [" ".join(line.split()) for line in lines] == [
        "predictor inputs contested",
        "markov, online marks 87.2% ±1.3",
        "",
        "predictor top-1 time bits",
        "markov, online 90.6% 8.89",
    ]


def test_a_sentence_is_wrapped_before_a_column_has_to_go() -> None:
    table = plain_table("", "check", "~found")
    table.add_row("!", "host-load", "another program uses as much as one of the two CPUs")
    lines = printed(table, 40)
    assert lines[1].startswith("!  host-load  another program")
    assert all(len(line.rstrip()) <= 40 for line in lines)


def test_paths_are_broken_before_a_column_has_to_go_and_nothing_of_them_is_lost() -> None:
    path, kernel = "/sys/kernel/debug/sched/idle_min_granularity_ns", "kernel-bookworm-backports-cloud-amd64"
    table = plain_table("/the arm", "/kernel-own", f"/{kernel}")
    table.add_row(f"guest {path}", "750000", "6.12.95+deb12-cloud-amd64")
    lines = printed(table, 80)
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert "" not in lines
    (edge,) = [line.index("750000") for line in lines if "750000" in line]
    assert "".join(line[:edge].strip() for line in lines).endswith(path)


def test_a_heading_is_wrapped_between_its_words() -> None:
    table = plain_table("box", ">booted in tests")
    table.add_row("a" * 30, "1")
    assert [line.split() for line in printed(table, 40)] == [["booted"], ["box", "in", "tests"], ["a" * 30, "1"]]


@given(
    st.lists(st.tuples(WORD, SENTENCE, WORD, SENTENCE, WORD), min_size=1, max_size=4),
    st.integers(min_value=1, max_value=200),
)
def test_no_word_and_no_name_is_broken_at_any_width(rows: list[tuple[str, ...]], width: int) -> None:
    table = plain_table("run", "name of it", ">a number", "~sentence", ">more")
    for row in rows:
        table.add_row(*row)
    lines = printed(table, width)
    for row in rows:
        for index in (0, 1, 2, 4):
            assert any(row[index] in line for line in lines), (row[index], lines)
        assert set(row[3].split()) <= {word for line in lines for word in line.split()}


@pytest.mark.parametrize("width", [1, 20])
def test_a_name_longer_than_the_terminal_runs_over_its_edge(width: int) -> None:
    table = plain_table("file")
    table.add_row("x" * 50)
    assert printed(table, width)[1].rstrip() == "x" * 50
