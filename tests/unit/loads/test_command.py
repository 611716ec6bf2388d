"""A command of the user's own: how it runs, and how its results are read. The scripts run on this host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import plan, spec
from harness.campaign.verdict import judge
from harness.errors import SpecError
from harness.loads import Command, Timing
from harness.spec import VerdictSpec

TIMING = Timing(seed=1, warmup_s=5.0, seconds=50.0)
FILE = """name: own
question: Which task is next?
machine: {box: debian-12}
load:
  kind: command
  run: |
    #!/bin/sh -e
    while [ ! -e stop ]; do
      echo "rate: $(cat start) per second"
      touch stop
    done
    echo "mean 1.5e-3 of 7 rounds, worst: none"
  packages: [redis-tools]
  services: [redis-server.service]
  prepare: echo 250 > start
  ready: test -e start
  results:
    requests_per_s: "^rate: ([0-9.]+) per"
    mean: 'mean (\\S+)'
    rounds: of (\\d+) rounds
    worst: "worst: (.*)$"
    absent: "^no such (line)"
  limits:
    requests_per_s: {at_least: 100, at_most: 1000}
  keeps_cpu_busy: false
"""


def command(text: str = FILE) -> Command:
    load = spec.load_bytes(text.encode(), "own.yaml").load
    assert isinstance(load, Command)
    return load


def test_a_script_of_the_experiment_file_runs_and_its_results_are_read(tmp_path: Path) -> None:
    load = command()
    for name, text in load.files(TIMING).items():
        (tmp_path / name).write_text(text)
    output = ""
    for argv in (load.prepare(), load.ready(), load.command()):
        assert argv is not None
        output += subprocess.run(argv, cwd=tmp_path, stdout=subprocess.PIPE, check=True, text=True).stdout
    assert load.command()[:2] == ["/bin/sh", "-e"]
    metrics = load.parse(output, TIMING)
    assert metrics == {"requests_per_s": 250, "mean": 0.0015, "rounds": 7, "worst": "none"}


def test_the_last_match_counts() -> None:
    load = Command(run="true", results={"x_per_s": r"(\d+)|none"})
    assert load.parse("1 2 none", TIMING) == {"x_per_s": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7),
        ("-1", -1),
        (" 5 ", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("nan", "nan"),
        ("1e999", "1e999"),
        ("9" * 400, "9" * 200),
    ],
)
def test_only_numbers_become_numbers(text: str, value: Any) -> None:
    parsed = Command(run="true", results={"value": "(?s)=(.*)"}).parse(f"={text}", TIMING)
    assert parsed == {"value": value}
    assert type(parsed["value"]) is type(value)


def judged(load: Command, output: str) -> dict[str, tuple[bool, Any, Any]]:
    expected = {"seconds": 1.0, "keeps_cpu_busy": load.keeps_cpu_busy, "limits": load.limits, "cpus": 1}
    guest = {"metrics": load.parse(output, TIMING), "loads": {"command": {"ActiveState": "active"}}}

    class Quality:
        lost_events, chain_breaks, truncated, span_ns = 0, 0, False, 10**9

    checks = judge(guest, Quality(), {}, VerdictSpec(), expected, {"share": 0.0}).checks
    return {check.name: (check.ok, check.value, check.limit) for check in checks}


def test_a_result_outside_of_its_limits_fails_the_trial_and_so_does_a_missing_one() -> None:
    load = command()
    assert judged(load, "rate: 250 per")["requests per s"] == (True, 250, "at least 100, at most 1000")
    assert judged(load, "rate: 99.5 per")["requests per s"][:2] == (False, 99.5)
    assert judged(load, "rate: 1001 per")["requests per s"][:2] == (False, 1001)
    assert judged(load, "")["requests per s"][:2] == (False, None)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("'mean (\\S+)'", "'mean (\\S+'", "own.yaml:19:11: load.results.mean is 'mean (\\\\S+'"),
        ("of (\\d+) rounds", "of \\d+ rounds", "a regular expression with one group, for the value; it has 0"),
        ("of (\\d+) rounds", "(o)f (\\d+) rounds", "it has 2 (use (?:...) for others)"),
        ("  rounds: of", "  Rounds!: of", "load.results.Rounds! is refused"),
        ("    requests_per_s: {at_least", "    request_per_s: {at_least", "request_per_s is none"),
        ("{at_least: 100, at_most: 1000}", "{}", "`at_least` or `at_most`, or both"),
        ("[redis-tools]", "[redis tools]", "load.packages[0] is 'redis tools'"),
        ("[redis-server.service]", "[redis-server]", "load.services[0] is 'redis-server'"),
        ("  keeps_cpu_busy: false", "  stop_signal: KILL", "load.stop_signal is 'KILL'"),
        ("  prepare: echo", "  prepares: echo", "did you mean 'prepare'?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, why: str) -> None:
    assert old in FILE
    with pytest.raises(SpecError) as caught:
        command(FILE.replace(old, new))
    assert why in str(caught.value)


def test_a_command_stays_the_same_in_a_stored_experiment_and_its_script_can_be_swept() -> None:
    experiment = spec.load_bytes(FILE.encode(), "own.yaml", {"sweep": "{load.ready: ['true', null]}"})
    stored = json.loads(json.dumps(spec.to_dict(experiment)))
    assert spec.from_dict(stored, Path("own.yaml"), FILE) == experiment
    first, second = (arm.experiment.load for arm in plan.arms(experiment))
    assert isinstance(first, Command)
    assert isinstance(second, Command)
    assert (first.ready(), second.ready()) == (["/bin/sh", "ready"], None)


def test_the_plan_shows_the_first_line_of_a_script() -> None:
    row = plan.describe(plan.trials(spec.load_bytes(FILE.encode(), "own.yaml")))[0]
    assert row.load.startswith('command run=#!/bin/sh -e ... packages=["redis-tools"]')
