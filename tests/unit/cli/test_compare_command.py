"""`harness compare` as it is typed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import campaign_run
import pytest
from typer.testing import CliRunner, Result

from harness.cli.main import app
from harness.store import RunFolder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rates = [400.0 + block % 3 for block in range(12)]
    noise = [math.exp(0.002 * math.cos(11 * block)) for block in range(12)]
    arms = {
        "ab__concurrency-2": rates,
        "ab__concurrency-8": [1.05 * r * n for r, n in zip(rates, noise, strict=True)],
        "ab__concurrency-2__again": [r / n for r, n in zip(rates, noise, strict=True)],
    }
    campaign_run.make(tmp_path / "runs" / "2026-11-30T10-00-00_levels", arms)
    return tmp_path / "runs"


def harness(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, words)], env={"COLUMNS": "160"})


def test_the_sentence_comes_first_then_the_equals_then_each_metric(runs: Path) -> None:
    result = harness("2026", "--runs", runs)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("concurrency 8 serves 5.0")
    equals = next(i for i, text in enumerate(lines) if text.startswith("A/A, concurrency 2 against itself: 0 of "))
    others = lines.index("concurrency 8 against concurrency 2:")
    assert 0 < equals < others
    row = next(text for text in lines[others:] if text.startswith("requests/s"))
    assert row.split()[:4] == ["requests/s", "401.0", row.split()[2], "/s"]
    assert row.rstrip().endswith("higher")


def test_json_has_all_that_the_tables_are_made_of(runs: Path) -> None:
    found = json.loads(harness("2026", "--runs", runs, "--json", "--metric", "requests/s").stdout)["comparisons"]
    assert [effect["metric"]["name"] for effect in found[0]["effects"]] == ["requests/s"]
    assert found[0]["effects"][0]["outcome"] == "higher"
    assert found[0]["null"]["effects"][0]["outcome"] != "higher"


def test_facts_that_differ_are_an_error_where_equal_ones_are_required(tmp_path: Path) -> None:
    arms = {"a": [400.0] * 6, "b": [404.0] * 6}
    run = campaign_run.make(tmp_path / "run", arms, machine={"b": {"kernel": "6.12.0"}})
    assert harness(run.path).exit_code == 0
    result = harness(run.path, "--require-equal")
    assert result.exit_code == 1
    assert "kernel" in result.stderr


def test_one_page_holds_it(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = harness("2026", "--runs", runs, "--html", page)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(page)
    assert "concurrency 8" in page.read_text()


def test_a_page_replaces_no_file_of_a_run(runs: Path, tmp_path: Path) -> None:
    (run,) = runs.iterdir()
    before = contents(run)
    (tmp_path / "link.html").symlink_to(run / "manifest.json")
    table = next(run.glob("trials/*/slices.parquet"))
    for page in (run / "manifest.json", tmp_path / "link.html", table, run / "trials" / "new.html", run / "label.txt"):
        result = harness("2026", "--runs", runs, "--html", page)
        assert result.exit_code == 2, page
        assert "among the files of the run" in result.stderr
    assert contents(run) == before
    for _ in range(2):
        assert harness("2026", "--runs", runs, "--html", run / "comparison.html").exit_code == 0
    assert contents(run).keys() - before.keys() == {run / "comparison.html"}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_several_arms_are_shown_against_the_first(tmp_path: Path) -> None:
    arms = {f"ab__concurrency-{n}": [400.0 + 10 * n] * 6 for n in (2, 4, 8)}
    run: RunFolder = campaign_run.make(tmp_path / "run", arms)
    result = harness(run.path, "--metric", "requests/s")
    assert result.exit_code == 0, result.output
    assert [text.split()[:3] for text in result.stdout.splitlines() if text.rstrip().endswith("too few")] == [
        ["concurrency", "4", "requests/s"],
        ["concurrency", "8", "requests/s"],
    ]


def test_several_arms_stand_below_what_each_rests_on_and_what_differs_besides_it(tmp_path: Path) -> None:
    arms = {f"ab__concurrency-{n}": [400.0 + 10 * n + block for block in range(8)] for n in (2, 4, 8)}
    machine = {"ab__concurrency-8": {"kernel": "6.12.0"}}
    run: RunFolder = campaign_run.make(tmp_path / "run", arms, machine=machine)
    lines = harness(run.path, "--metric", "requests/s").stdout.splitlines()
    assert lines[0].startswith("! concurrency 8: 1 fact differs besides the arm and may be the cause: ")
    assert lines.count("- one host: how other hosts differ is not known") == 2
    assert sum("kernel" in text and "6.12.0" in text for text in lines) == 1


@pytest.mark.parametrize("margin", ["0", "-1%", "two", "100%", "1%x", "%", "nan"])
def test_a_margin_is_a_share(runs: Path, margin: str) -> None:
    result = harness("2026", "--runs", runs, f"--margin={margin}")
    assert result.exit_code == 2
    assert "is no share" in result.stderr


@pytest.mark.parametrize("words", [["--arms", "kernel-own"], ["--metric"], ["--no-such"]])
def test_a_wrong_option_is_answered_with_the_help_of_the_command(words: list[str]) -> None:
    result = harness(*words)
    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith("compare --help")


def test_a_folder_that_is_no_run_is_named(runs: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none", runs):
        assert f"{path}: there is no run at this path" in harness(path, "--runs", runs).stderr.replace("\n", "")


def test_a_margin_that_is_wide_makes_a_difference_one_that_does_not_matter(runs: Path) -> None:
    row = next(
        r for r in harness("2026", "--runs", runs, "--margin", "10%").stdout.splitlines()[::-1] if "requests/s" in r
    )
    assert row.rstrip().endswith("higher, within 10 %")


def test_an_arm_is_completed_from_the_manifest_of_the_run(runs: Path) -> None:
    from harness.cli import completion

    context = SimpleNamespace(params={"runs_dir": str(runs), "runs": ["2026"]})
    assert completion.arms(context, "ab__concurrency-8") == ["ab__concurrency-8"]  # type: ignore[arg-type]
