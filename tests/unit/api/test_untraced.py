"""A trial without a tracer as an object: what its load got, and no tables."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import synthetic_run

import harness
from harness.cli.find_recording import find_recordings
from harness.errors import UsageError
from model.data import find_recordings as of_model
from model.errors import NoTablesError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with one trial, which had no tracer."""
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_trial(tmp_path, "000_bare", None, tracer="none", quality=None)
    return tmp_path


def test_it_has_its_verdict_and_what_its_load_got_but_no_tables(run: Path) -> None:
    (trial,) = harness.open_run(run).trials
    assert (trial.tracer, trial.tables, trial.usable) == ("none", (), True)
    assert (trial.switches, trial.seconds, trial.whole) == (None, None, None)
    assert trial.metrics["requests_per_s"] == 284.31
    assert repr(trial) == "Trial('trials/000_bare': no tracer, Linux 6.1.0-40-cloud-amd64, usable)"
    assert "tables" not in trial._repr_html_()
    with pytest.raises(UsageError, match="it was recorded without a tracer, so it has no tables"):
        trial.frame("slices")


def test_a_row_of_a_run_s_verdicts_has_its_metrics_and_no_number_of_switches(run: Path) -> None:
    (row,) = harness.open_run(run).verdicts().to_dict("records")
    assert (row["usable"], row["requests_per_s"], row["switches"]) == (True, 284.31, None)


def test_who_wants_its_recording_is_told_why_there_is_none(run: Path) -> None:
    for path in (run, run / "trials" / "000_bare"):
        with pytest.raises(NoTablesError, match="recorded without a tracer"):
            of_model.recordings([path])
        with pytest.raises(UsageError, match="it was recorded without a tracer"):
            find_recordings(path)


def test_a_trial_of_an_earlier_version_had_perf(run: Path) -> None:
    path = run / "trials" / "000_bare" / "trial.json"
    known = {key: value for key, value in json.loads(path.read_text()).items() if key != "tracer"}
    path.write_text(json.dumps(known))
    (trial,) = harness.open_run(run).trials
    assert trial.tracer == "perf"
    assert os.fspath(trial) == str(path.parent)
