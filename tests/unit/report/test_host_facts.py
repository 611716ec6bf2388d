"""The clock and the host's share at the head of the page, and what the host did trial by trial."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
import synthetic_run
from written_before import RUN, unpack

from harness.report import build, host_facts
from harness.report.run_facts import read_run
from harness.report.trial_facts import read_trials
from harness.store import Integrity

HOST_CLOCK = {"clock": "host", "cpu_speed": None}
COUNTED = synthetic_run.COUNTED
NOT_MEASURED = "How long the host kept the guest's CPU waiting was not measured"


def run_with(run: Path, *trials: dict[str, Any]) -> Path:
    """A run with a trial for each of these contents of trial.json."""
    synthetic_run.write_manifest(run)
    for number, facts in enumerate(trials):
        synthetic_run.add_trial(run, f"00{number}_nginx_ab", synthetic_run.slices(300, number), **facts)
    return run


def plain(text: str) -> str:
    """Text of the page with plain spaces and apostrophes."""
    return " ".join(html.unescape(text).replace("\u2019", "'").split())


def words(run: Path, part: str = "conditions") -> str:
    """The text of the element with this id on the page."""
    page = build(run).read_text("utf-8")
    (found,) = re.findall(rf'<div class="[a-z]+" id="{part}">(.*?)</div>', page, re.DOTALL)
    return plain(re.sub(r"<[^>]+>", "", found))


def section(run: Path, name: str) -> str:
    page = build(run).read_text("utf-8")
    (found,) = re.findall(rf'<section id="{name}">(.*?)</section>', page, re.DOTALL)
    return plain(re.sub(r"<[^>]+>", " ", found))


def banners(run: Path) -> str:
    page = build(run).read_text("utf-8")
    found = re.findall(r'<section class="banner.*?</section>', page, re.DOTALL)
    return plain(re.sub(r"<[^>]+>", " ", " ".join(found)))


def test_the_head_names_the_counted_clock_and_the_range_of_the_hosts_share(tmp_path: Path) -> None:
    trials = [{"machine": COUNTED, "host": synthetic_run.host(share)} for share in (0.012, 0.004)]
    shown = words(run_with(tmp_path, *trials))
    assert shown == (
        "Recorded with a counted clock of 125 instructions per microsecond. The host kept the guest's CPU waiting for "
        "0.4 to 1.2 % of the recorded time, which a counted clock does not see."
    )


def test_the_head_says_that_the_hosts_clock_ran_on(tmp_path: Path) -> None:
    shown = words(run_with(tmp_path, {"machine": HOST_CLOCK, "host": synthetic_run.host(0.31)}))
    assert shown.startswith(
        "Recorded with the host's clock. The host kept the guest's CPU waiting for 31.0 % of the recorded time,"
    )
    assert "while the guest's clock ran on" in shown


def test_a_share_that_was_not_measured_is_not_called_zero(tmp_path: Path) -> None:
    assert f"{NOT_MEASURED} (versions before 0.3.0 did not)." in words(run_with(tmp_path / "old", {}))
    unknown = synthetic_run.host(None, share_reason="VirtualBox shows no schedstat")
    shown = words(run_with(tmp_path / "new", {"host": unknown}, {"host": unknown}))
    assert f"{NOT_MEASURED}: VirtualBox shows no schedstat." in shown
    mixed = words(run_with(tmp_path / "mixed", {"host": unknown}, {"host": synthetic_run.host(0.01)}))
    assert "1.0 % of the recorded time" in mixed
    assert "In 1 of 2 trials it was not measured." in mixed


def test_a_run_of_0_1_0_has_the_hosts_clock_and_no_share(tmp_path: Path) -> None:
    run = unpack(tmp_path) / RUN
    assert words(run).startswith(f"Recorded with the host's clock. {NOT_MEASURED}")
    assert "was not measured: versions before 0.3.0 did not" in section(run, "trust")
    assert "machine clock host" in section(run, "asked")


def test_each_clock_of_a_run_has_its_own_line_and_they_are_not_compared(tmp_path: Path) -> None:
    trials = [
        {"arm": "a", "machine": HOST_CLOCK, "host": synthetic_run.host(0.2)},
        {"arm": "b", "machine": COUNTED, "host": synthetic_run.host(0.4)},
    ]
    shown = words(run_with(tmp_path, *trials))
    assert "Recorded with the host's clock, in a. The host kept the guest's CPU waiting for 20.0 %" in shown
    assert "Recorded with a counted clock of 125 instructions per microsecond, in b." in shown
    assert "their numbers stand side by side here, and are not compared" in shown


def test_a_trial_that_ended_without_a_record_has_no_clock(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"machine": COUNTED, "host": synthetic_run.host(0.1)}, {"machine": COUNTED})
    (run / "trials" / "001_nginx_ab" / "trial.json").unlink()
    shown = words(run)
    assert shown.startswith("Recorded with a counted clock of 125 instructions per microsecond. The host kept")
    assert "the host's clock" not in shown
    (run / "trials" / "000_nginx_ab" / "trial.json").unlink()
    assert 'id="conditions"' not in build(run).read_text("utf-8")


def odd_run(run: Path, **last: Any) -> Path:
    """Three trials of one arm, of which the last has other numbers."""
    same = {"machine": COUNTED, "switches": 300, "quality": {"span_ns": 1_000_000_000, "warnings": []}}
    return run_with(
        run,
        {**same, "metrics": {"requests_per_s": 420.0}},
        {**same, "metrics": {"requests_per_s": 421.0}},
        {**same, "metrics": {"requests_per_s": 300.0}, **last},
    )


def test_an_odd_trial_is_marked_at_the_head_and_at_its_verdict(tmp_path: Path) -> None:
    run = odd_run(tmp_path)
    shown = banners(run)
    assert "1 trial differs from the others of its arm by more than noise" in shown
    assert "002_nginx_ab: 300 requests/s, the other trials of nginx_ab 420 (standard deviation 0.707)" in shown
    assert f"delete its folder in trials/, then harness run --resume {run.name}" in shown
    assert "Spread: requests/s from 300 to 421 across the trials of nginx_ab." in words(run)
    assert "002_nginx_ab differs from the others of its arm" in section(run, "trust")


@pytest.mark.parametrize(
    "broken", [{"metrics": {"requests_per_s": "fast"}}, {"quality": None}, {"switches": []}, {"noise": 3}]
)
def test_damaged_numbers_of_a_trial_do_not_stop_the_page(tmp_path: Path, broken: dict[str, Any]) -> None:
    assert "Recorded with a counted clock" in words(odd_run(tmp_path, **broken))


def test_a_trial_that_may_not_be_used_is_not_compared_with_the_others(tmp_path: Path) -> None:
    bad = {"ok": False, "checks": synthetic_run.checks(host_share=0.4)}
    assert "differs from the others" not in banners(odd_run(tmp_path, verdict=bad))


def test_a_trial_over_its_limit_is_at_the_head_with_both_numbers(tmp_path: Path) -> None:
    over = {"name": "host share", "ok": False, "value": 0.31, "limit": 0.02, "why": "the host was busy"}
    run = run_with(tmp_path, {"verdict": {"ok": False, "checks": [over]}, "host": synthetic_run.host(0.31)})
    assert "000_nginx_ab: host share 0.31, limit 0.02 (the host was busy)" in banners(run)


def test_a_trial_that_was_recorded_again_says_why(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"attempts": 3})
    synthetic_run.add_earlier_attempt(run, "000_nginx_ab", 2, lost_events=7)
    synthetic_run.add_earlier_attempt(run, "000_nginx_ab", 10, idle_share=0.5)
    (run / "attempts" / "000_nginx_ab-1").mkdir()
    (run / "attempts" / "000_nginx_ab-x").mkdir()
    assert "Recorded again: 000_nginx_ab 3 times (idle share 0.5, limit 0.2)." in words(run)
    calm = {f"calm:000_nginx_ab-{n}": {"state": "done", "seconds": 60.0 + n, "detail": {"calm": False}} for n in (2, 3)}
    synthetic_run.write_manifest(run, steps=calm)
    assert "limit 0.2), after waiting 2 min 05 s for the host to become calm." in words(run)
    trust = section(run, "trust")
    assert "attempt 1 may not be used: it ended without a verdict" in trust
    assert "attempt 2 may not be used: lost events 7, limit 0" in trust


def test_every_fact_about_the_host_stands_beside_its_trial(tmp_path: Path) -> None:
    host = synthetic_run.host(
        0.0123,
        clock_step_s={"host": 0.0, "guest": -1.5},
        suspended_s={"host": 30.0, "guest": 0.004},
        stolen_share=0.03,
        frequency_before={"governor": "schedutil", "mhz_min": 800.0, "mhz_max": 3000.0, "turbo": True},
        frequency_after={"governor": None, "mhz_min": None, "mhz_max": None, "turbo": None},
    )
    ((name, row),) = host_facts.meanwhile(read_trials(run_with(tmp_path, {"host": host}) / "trials", Integrity(0))[0])
    assert name == "000_nginx_ab"
    assert dict(zip(host_facts.COLUMNS, row, strict=True)) == {
        "host share": "1.23\u202f%",
        "steal": "0.00\u202f%",
        "pressure": "2.1\u202f%",
        "taken by others": "8.0\u202f%, 3.0\u202f% of it below the host",
        "load average": "1.1 → 1.6",
        "CPU MHz": "800–3\u202f000 schedutil turbo → –",  # noqa: RUF001
        "host s / guest s": "61.2 / 50.1",
        "clock steps, pauses": "guest clock stepped -1.50\u202fs; host suspended 30.0\u202fs",
        "busiest beside it, CPUs": "python3 0.12, sshd 0.02, kworker/0:1 0.01",
    }


def interruptions(run: Path, host: dict[str, Any], machine: dict[str, Any], *failed: dict[str, Any]) -> str:
    """What stands under `clock steps, pauses` for a trial with these facts, of which these checks failed."""
    run_with(run, {"host": host, "machine": machine, "verdict": {"ok": not failed, "checks": list(failed)}})
    ((_, row),) = host_facts.meanwhile(read_trials(run / "trials", Integrity(0))[0])
    return dict(zip(host_facts.COLUMNS, row, strict=True))["clock steps, pauses"]


def test_a_pause_stands_beside_its_trial_and_at_the_head_on_either_clock(tmp_path: Path) -> None:
    paused = synthetic_run.host(0.0065, seconds=62.0, guest_seconds=50.0, paused_s=11.1)
    assert interruptions(tmp_path / "counted", paused, COUNTED) == "machine paused 11.1\u202fs"
    assert "In 1 of 1 trials the machine was paused, for up to 11.1 s, which a counted" in words(tmp_path / "counted")
    assert interruptions(tmp_path / "host", paused, HOST_CLOCK, PAUSED) == "machine paused 11.1\u202fs"
    assert "In 1 of 1 trials the machine was paused, for up to 11.1 s." in words(tmp_path / "host")


PAUSED = {"name": "clock steps", "ok": False, "value": 12.0, "limit": 0.86, "why": "the machine was paused"}


def test_a_pause_is_never_called_none_where_it_was_not_ruled_out(tmp_path: Path) -> None:
    unknown = synthetic_run.host(None, paused_s=None)
    assert interruptions(tmp_path / "ruled out", synthetic_run.host(0.01), COUNTED) == "none"
    assert interruptions(tmp_path / "counted", unknown, COUNTED) == "pauses not measured"
    assert interruptions(tmp_path / "compared", unknown, HOST_CLOCK) == "none"  # its seconds are those of the host
    failed = interruptions(tmp_path / "failed", unknown, HOST_CLOCK, PAUSED)
    assert failed == "clock steps 12, limit 0.86 (the machine was paused)"
    unseen = {**unknown, "seconds": None}
    assert interruptions(tmp_path / "unseen", unseen, HOST_CLOCK) == "pauses not measured"


@pytest.mark.parametrize(
    "host",
    [
        {"seconds": 1},
        {
            "share": "much",
            "loadavg_before": "high",
            "top": "python3",
            "clock_step_s": 3,
            "suspended_s": None,
            "paused_s": "x",
        },
        {"share": None, "share_reason": ["a"], "loadavg_before": [], "top": [["x"], 3], "frequency_before": []},
    ],
)
def test_damaged_facts_about_the_host_do_not_stop_the_page(tmp_path: Path, host: dict[str, Any]) -> None:
    shown = section(run_with(tmp_path, {"host": host}), "trust")
    assert "not measured" in shown


def test_hidden_characters_in_the_name_of_a_process_are_shown(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"host": synthetic_run.host(0.1, top=[["\x1b[31m<b>", 1.0]])})
    assert r"\x1b[31m<b> 1" in section(run, "trust")


def test_the_machine_of_every_arm_is_in_the_facts(tmp_path: Path) -> None:
    arms = {
        "a": {"box": {"name": "debian-12"}, "machine": {"kernel": "6.1", **HOST_CLOCK}},
        "b": {"box": {"name": "debian-12"}, "machine": {"kernel": "6.1", **COUNTED}},
    }
    provisioned = {
        "digest": "cd" * 32,
        "roles": ["perf", "nginx"],
        "packages": {"nginx": "1.22"},
        "made": "2026-11-29T10:00:00",
    }
    box = {"name": "debian-12", "provisioned": provisioned}
    repeats = {"run": "2026-11-28_one", "path": "/runs/2026-11-28_one", "manifest_sha256": "ef" * 32}
    synthetic_run.write_manifest(tmp_path, arms=arms, box=box, repeats=repeats)
    shown = section(tmp_path, "asked")
    assert "machine clock host | counted" in shown
    assert "machine cpu speed 125" in shown
    assert "machine vcpu placement pinned to CPU 1" in shown
    assert f"box provisioned digest {'cd' * 32}" in shown
    assert "provisioned packages" not in shown
    assert "repeats run 2026-11-28_one" in shown


def test_a_repeated_run_says_of_which_and_how_the_two_compare(tmp_path: Path) -> None:
    run = run_with(tmp_path, {})
    assert "Repeats" not in words(run)
    repeats = {"run": "2026-11-28_one", "path": "/runs/2026-11-28_one", "manifest_sha256": "ef" * 32}
    synthetic_run.write_manifest(run, repeats=repeats, steps={})
    assert "Repeats: 2026-11-28_one: not compared yet" in words(run)
    steps = {"repeat": {"state": "done", "detail": {"conclusion": "equal in every metric"}}}
    synthetic_run.write_manifest(run, repeats=repeats, steps=steps)
    assert "Repeats: 2026-11-28_one: equal in every metric" in words(run)


def two_clocks(run: Path) -> Path:
    """Two arms of different clocks; the counted one scores higher."""
    for number, (arm, machine, top1) in enumerate((("a", HOST_CLOCK, 0.7), ("b", COUNTED, 0.9))):
        name = f"00{number}_nginx_ab"
        synthetic_run.add_trial(run, name, None, arm=arm, machine=machine)
        clock = {key: machine[key] for key in ("clock", "cpu_speed")}
        for kind, score, inputs in (("markov", 0.6, "marks"), ("lstm", top1, "marks")):
            synthetic_run.add_model(run, kind, number, score, trials=[name], regime=inputs, **clock)
    synthetic_run.write_manifest(run)
    return run


def test_the_answer_is_given_for_each_clock_and_never_across(tmp_path: Path) -> None:
    page = build(two_clocks(tmp_path)).read_text("utf-8")
    (answer,) = re.findall(r'id="answer">(.*?)</p>', page, re.DOTALL)
    shown = plain(re.sub(r"<[^>]+>", " ", answer))
    assert "With the host's clock:" in shown
    assert "With a counted clock of 125 instructions per microsecond:" in shown
    assert shown.count("predicts the next task correctly") == 2
    assert "the other arm" not in shown


def test_models_of_different_clocks_are_never_seeds_of_one_predictor(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.7)
    synthetic_run.add_model(tmp_path, "lstm", 1, 0.7, clock="counted", cpu_speed=125)
    groups = read_run(tmp_path).groups
    assert [len(group.seeds) for group in groups] == [1, 1]
    assert len({group.arm for group in groups}) == 2
    assert any(group.arm.endswith("clock counted 125") for group in groups)
