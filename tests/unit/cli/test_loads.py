"""`harness loads`: all loads, one of them, and an experiment file with it; `harness init --load`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import harness
from typer.testing import CliRunner

from harness.cli import app
from harness.loads import KINDS


def test_all_loads_are_listed_with_what_runs() -> None:
    shown = harness("loads").stdout
    assert all(f"\n{kind} " in shown for kind in KINDS)
    assert "ApacheBench" in shown or "`ab` requests" in shown
    document = json.loads(harness("loads", "--json").stdout)["loads"]
    assert list(document) == list(KINDS)
    assert all(len(load["about"]) >= 1 and load["schema"]["properties"] for load in document.values())


def test_one_load_is_shown_with_its_parameters_packages_and_own_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # a cell is one line
    words = " ".join(harness("loads", "nginx_ab").stdout.split())
    assert "load.concurrency 5 whole number, at least 1, at most 20000 requests of ab under way" in words
    assert "packages, debian-11 apache2-utils, nginx-light, wrk" in words
    assert "packages, debian-12 debian-13 debian-sid apache2-utils, nginx, wrk " in words
    assert "not usable requests_completed is below 1, or missing" in words
    perf = json.loads(harness("loads", "perf_bench_messaging", "--json").stdout)["loads"]["perf_bench_messaging"]
    assert perf["packages"]["ubuntu-18.04"] == ["linux-tools-KERNEL"]


def test_the_example_of_a_load_can_be_piped_into_a_run() -> None:
    text = harness("loads", "stress_ng", "--example").stdout
    done = CliRunner().invoke(app, ["run", "-", "--dry-run", "--json"], input=text.encode())
    assert json.loads(done.stdout)["experiment"]["load"]["kind"] == "stress_ng"
    assert (
        json.loads(harness("loads", "stress_ng", "--example", "--json").stdout)["loads"]["stress_ng"]["example"] == text
    )


def test_a_load_that_is_not_there_is_answered_with_the_nearest() -> None:
    stderr = harness("loads", "nginxab", code=2).stderr
    assert "there is no load 'nginxab'" in stderr
    assert "did you mean 'nginx_ab'" in stderr
    assert "its name, as in" in harness("loads", "--example", code=2).stderr


def test_init_begins_with_any_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    harness("init", "mine.yaml", "--load", "stress_ng")
    text = Path("mine.yaml").read_text()
    assert "harness run mine.yaml" in text
    plan = json.loads(harness("run", "mine.yaml", "--dry-run", "--json").stdout)["experiment"]
    assert (plan["name"], plan["load"]["kind"]) == ("mine", "stress_ng")
    assert "one of them" in harness("init", "--load", "idle", "--from", "smoke", code=2).stderr
    assert "there is no load 'none'" in harness("init", "--load", "none", code=2).stderr
