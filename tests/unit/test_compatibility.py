"""Run folders and models that an earlier version wrote still open and give the same answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import harness
from typer.testing import CliRunner
from written_before import RUN, TRIAL, unpack

from harness.cli import app
from harness.store import RunFolder

IN_THE_RUN = ("lstm", "markov", "most_frequent")
ALONE = (
    *("repeat", "ctw", "slice_markov", "decision_tree", "gradient_boosting", "gru", "mingru", "transformer"),
    *("rmtpp", "nhp", "fifo", "cfs_replay", "replay_residual"),
)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run, the models and their predictions; tests only read it."""
    return unpack(tmp_path_factory.mktemp("before"))


def test_an_old_run_is_listed_shown_and_verified(before: Path) -> None:
    assert RUN in harness("ls", "--runs", before).stdout
    shown = harness("show", RUN, "--runs", before).stdout
    assert all(name in shown for name in ("000_nginx_ab", *IN_THE_RUN))
    harness("verify", RUN, "--runs", before)


def test_an_old_run_is_compared_with_its_copy(tmp_path: Path) -> None:
    first = unpack(tmp_path / "first") / RUN
    second = unpack(tmp_path / "second") / RUN
    shown = harness("repeat", first, "--with", second).stdout
    assert shown.splitlines()[-1] == "equal: 0 of 14 metrics within what two such runs differ by, 14 within 1 %"


def test_the_report_of_an_old_run_is_written_anew_with_the_same_shares(tmp_path: Path) -> None:
    run = unpack(tmp_path) / RUN
    page, share = run / "report" / "index.html", re.compile(r"\d+\.\d %")
    shares = sorted(share.findall(page.read_text("utf-8")))
    harness("report", RUN, "--runs", tmp_path)
    assert sorted(share.findall(page.read_text("utf-8"))) == shares
    assert RunFolder.open(run).state == "done"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*IN_THE_RUN, *ALONE])
def test_an_old_model_predicts_what_it_predicted_then(before: Path, kind: str) -> None:
    models = before / RUN / "models" if kind in IN_THE_RUN else before / "models"
    then = json.loads((before / "predictions" / f"{kind}.json").read_text())
    arguments = ["predict", str(before / TRIAL), "--model", str(models / f"{kind}_s0"), "--events", "5", "--json"]
    now = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)["predictions"]
    assert len(now) == len(then)
    for event, old in zip(now, then, strict=True):
        marks, shares = zip(*event["likeliest"], strict=True)
        old_marks, old_shares = zip(*old["likeliest"], strict=True)
        # another CPU rounds the last digits otherwise
        assert shares == pytest.approx(old_shares, rel=1e-3, abs=1e-5)
        assert event["median_us"] == pytest.approx(old["median_us"], rel=1e-3)
        assert (marks, event["mark"], event["slice_us"]) == (old_marks, old["mark"], old["slice_us"])
