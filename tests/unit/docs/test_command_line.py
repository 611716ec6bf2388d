"""docs/command-line.md: its exit codes are those of the program, and its keys those that commands print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import written_before
from command_line import harness
from locations import ROOT

from harness import errors

PAGE = (ROOT / "docs" / "command-line.md").read_text("utf-8")
KEYS = {
    command: re.findall(r"`(\w+)`", keys)
    for commands, keys in re.findall(r"^\| (`.*`) \| (`.*) \|$", PAGE, re.MULTILINE)
    for command in re.findall(r"`([^`]+)`", commands)
}


def test_the_page_names_every_exit_code() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert codes <= {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE) for code in row.split(", ")
    }


@pytest.mark.parametrize("name", ["gru", "decision_tree"])
def test_the_page_names_the_keys_of_a_model(name: str, tmp_path: Path) -> None:
    models = written_before.unpack(tmp_path) / "models"
    shown = json.loads(harness("model", "show", models, "-p", name, "--json").stdout)
    assert list(shown) == KEYS["model show"]
    _, page = PAGE.split("| key of `model` | value |\n| --- | --- |\n")
    rows = dict(re.findall(r"^\| (.*) \| (.*) \|$", page, re.MULTILINE))
    assert list(shown["model"]) == [key for keys in rows for key in keys.split(", ")]
    for part in ("layers", "parts"):
        named = re.split(", ", rows[part].partition(": ")[2])
        assert [list(one) for one in shown["model"][part]] == [named] * len(shown["model"][part])


@pytest.mark.parametrize(
    "arguments",
    [["ls"], ["run", "smoke", "--dry-run"], ["loads"], ["predictors"], ["init"], ["box", "ls"]],
    ids=" ".join,
)
def test_the_page_names_the_keys_of_json(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    command = " ".join(word for word in arguments if word != "smoke")
    assert list(json.loads(harness(*arguments, "--json").stdout)) == KEYS[command]
