"""`harness run`: wrong calls, `--dry-run`, and errors as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from fakes import BASE, HOPELESS, World

from harness import spec


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


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run an experiment of BASE with some sections replaced on machines that are no real ones."""
    world = World()
    monkeypatch.setattr("harness.campaign.effects.Effects", lambda **_: world.effects())
    monkeypatch.chdir(tmp_path)

    def run(*options: str, outcomes: list[Any] | None = None, code: int = 0, **sections: Any) -> Any:
        world.outcomes = outcomes or []
        path = tmp_path / "small.yaml"
        path.write_text(spec.to_yaml({**BASE, **sections}))
        return harness("run", path, *options, code=code)

    return run


TWO_ARMS = {"sweep": {"load.concurrency": [2, 8]}, "trials": {"repeat": 1, "attempts": 1}}


def test_a_run_of_two_arms_ends_with_the_command_that_compares_them(recorded: Callable[..., Any]) -> None:
    last = recorded(**TWO_ARMS).stdout.splitlines()[-1]
    (folder,) = Path("runs").iterdir()
    assert last.startswith(f"`harness compare {folder.resolve()}` says how far its arms differ")


def test_a_run_with_nothing_to_compare_names_no_comparison(recorded: Callable[..., Any]) -> None:
    assert "compare" not in recorded(trials={"repeat": 1}).output
    assert "compare" not in recorded(**TWO_ARMS, outcomes=[HOPELESS], code=1).stdout
    for option in ("--json", "--quiet"):
        assert "harness compare" not in recorded(option, **TWO_ARMS).output
