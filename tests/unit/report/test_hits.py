"""The hits of a predictor lie on the switches that it was scored on."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import synthetic_run

from harness.report.hits import read_hits
from harness.report.run_facts import read_run

TRIALS = ["000_nginx_ab", "001_nginx_ab"]


def hits(run: Path) -> list:
    facts = read_run(run)
    return read_hits(facts.groups, {trial.name: trial.recording for trial in facts.trials if trial.recording})


def test_the_hits_of_each_predictor_are_those_of_the_end_of_each_recording(tmp_path: Path) -> None:
    run = synthetic_run.make_run(tmp_path / "run", 1_000)
    expected = synthetic_run.add_test_part(run, "markov", 0, TRIALS)
    found = hits(run)
    assert [(one.predictor, one.trial, one.cpu) for one in found] == [("markov, seed 0", trial, 0) for trial in TRIALS]
    assert np.concatenate([one.hit for one in found]).tolist() == expected.tolist()
    name, _, count, bits = found[0].meta(shown=100)
    assert (name, count) == ("markov_s0", 100)
    packed = np.frombuffer(base64.b64decode(str(bits)), np.uint8)
    assert np.unpackbits(packed, bitorder="little")[:100].astype(bool).tolist() == expected[50:150].tolist()


def test_outcomes_of_other_switches_are_left_out(tmp_path: Path) -> None:
    run = synthetic_run.make_run(tmp_path / "run", 1_000)
    synthetic_run.add_outcomes(run, "markov", 0, np.ones(150, dtype=bool))  # of one stream, where there are two
    synthetic_run.add_test_part(run, "lstm", 0, TRIALS[::-1])  # contested where other switches were
    assert hits(run) == []
