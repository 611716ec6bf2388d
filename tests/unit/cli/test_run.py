"""`harness run`: wrong calls, `--dry-run`, and errors as text or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import harness


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
        (["run", "--resume", "--set", "a=b"], 2, "--resume may change only the models of a run"),
        (["show"], 2, "there are no runs yet"),
        (["show", "2020"], 2, "there is no run '2020'"),
        (["verify", "2020"], 2, "there is no run '2020'"),
        (["report", "2020"], 2, "there is no run '2020'"),
        (["box", "build", "debain-12"], 2, "did you mean 'debian-12'"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_a_wrong_call_is_one_clear_message(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in harness(*arguments, code=code).stderr
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_experiment_file_names_line_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.yaml").write_text("name: e\nmachine: {box: debian-12}\nload:\n  kind: nginx_ab\n  concurency: 5\n")
    assert "e.yaml:5:3" in harness("run", "e.yaml", code=2).stderr


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("hidden: -5", "model.params.lstm.hidden is -5"),
        ("hidden: true", "model.params.lstm.hidden is true"),
        ("hiden: 5", "did you mean 'hidden'?"),
    ],
)
def test_a_wrong_setting_of_a_predictor_is_found_before_anything_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "name: e\nmachine: {box: debian-12}\nload: {kind: nginx_ab}\n"
    Path("e.yaml").write_text(head + f"model:\n  predictors: [lstm]\n  params:\n    lstm:\n      {setting}\n")
    shown = harness("run", "e.yaml", code=2).stderr
    assert "e.yaml:8:" in shown
    assert words in shown


def test_with_json_an_error_is_json_too() -> None:
    document = json.loads(harness("run", "nope.yaml", "--json", code=2).stdout)
    assert (list(document), document["error"]["exit_code"], document["error"]["type"]) == (["error"], 2, "SpecError")


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = json.loads(harness("run", "experiments/nginx_ab.yaml", "--dry-run", "--json").stdout)
    assert [row["name"] for row in plan["trials"]] == [f"00{i}_nginx_ab" for i in range(3)]
    assert list(tmp_path.iterdir()) == []
