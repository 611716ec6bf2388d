"""A busy host: the warning before a run, and the wait before a trial that it spoiled is recorded again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import BAD, GOOD, STARVED, World

from harness.campaign.verdict import Verdict
from harness.store import RunFolder

pytestmark = pytest.mark.slow

Start = Callable[..., Any]
MACHINE = {"box": "debian-12"}
ONE = {"repeat": 1, "attempts": 2}


def lines(tmp_path: Path) -> str:
    return (tmp_path / "screen.txt").read_text()


def warnings(folder: RunFolder) -> list[dict[str, Any]]:
    return [event for event in folder.events() if event["kind"] == "warning"]


REFUSED = "the recordings may be refused (verdict.max_host_share)"
UNHARMED = "the guest's clock is counted, so only the run's duration suffers"


@pytest.mark.parametrize(
    ("sections", "kvm_works", "consequence"),
    [
        ({"machine": {**MACHINE, "clock": "counted"}}, None, UNHARMED),
        ({"machine": {**MACHINE, "clock": "host"}}, False, REFUSED),
        ({"verdict": {"max_host_share": 0.1}}, False, REFUSED),
        ({}, False, UNHARMED),
        ({}, True, REFUSED),
        ({}, None, f"{REFUSED} where the guest's clock is not counted"),
        ({"machine": {**MACHINE, "accelerator": "tcg"}}, True, UNHARMED),
        ({"machine": {**MACHINE, "cpus": 2}}, None, REFUSED),
        ({"sweep": {"machine.clock": ["host", "counted"]}}, False, f"{REFUSED} where the guest's clock is not counted"),
    ],
)
def test_a_busy_host_is_named_before_the_machine_starts_with_what_it_means(
    start: Start,
    world: World,
    tmp_path: Path,
    sections: dict[str, Any],
    kvm_works: bool | None,
    consequence: str,
) -> None:
    world.taken, world.kvm_works = [0.62], kvm_works
    campaign, folder = start(**sections)
    campaign.run()
    (event,) = warnings(folder)
    assert event["text"].startswith("the host is busy: 62 % of its 2 CPUs taken by cc1; ")
    assert event["text"].endswith(consequence)
    assert (event["taken_share"], event["busiest"]) == (0.62, [["cc1", 1.24]])
    shown = lines(tmp_path)
    assert shown.index(event["text"]) < shown.index("Bring up")


def test_a_calm_host_is_looked_at_once_and_not_mentioned(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    assert world.windows == [1.0]
    assert warnings(folder) == []


def test_a_run_that_has_recorded_everything_does_not_look_at_the_host(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    world.windows.clear()
    start(folder=folder)[0].run()
    assert world.windows == []


def test_a_trial_that_the_host_spoiled_is_recorded_again_when_the_host_is_calm(
    start: Start, world: World, tmp_path: Path
) -> None:
    world.outcomes, world.taken = [STARVED, GOOD], [0.0, 0.4, 0.4, 0.1, 0.1]
    campaign, folder = start(trials=ONE)
    assert campaign.run().ok
    assert world.windows == [1.0, 2.0, 2.0, 2.0, 2.0]
    step = folder.manifest["steps"]["calm:000_nginx_ab-1"]
    assert (step["state"], step["detail"]["calm"], step["detail"]["taken_share"]) == ("done", True, 0.1)
    assert "the host is calm after 8 s; recording again" in lines(tmp_path)


def test_a_host_that_stays_busy_is_said_to_and_the_trial_is_recorded_nevertheless(
    start: Start, world: World, tmp_path: Path
) -> None:
    world.outcomes, world.taken = [STARVED, GOOD], [0.0, *[0.8] * 9]
    campaign, folder = start(trials={**ONE, "wait_for_calm_s": 6})
    assert campaign.run().ok
    assert folder.manifest["steps"]["calm:000_nginx_ab-1"]["detail"]["calm"] is False
    text = "the host is still busy after 6 s (80 % taken by cc1); recording again nevertheless"
    assert f"warning: {text}" in lines(tmp_path)
    assert text in [event["text"] for event in warnings(folder)]


@pytest.mark.parametrize(
    ("outcomes", "settings"),
    [([BAD, GOOD], ONE), ([STARVED, STARVED], ONE), ([STARVED, GOOD], {**ONE, "wait_for_calm_s": 0})],
    ids=["another failure: one wait at no time", "only between attempts", "no time to wait"],
)
def test_calm_is_waited_for_only_between_attempts_that_the_host_spoiled(
    start: Start, world: World, outcomes: list[Verdict], settings: dict[str, Any]
) -> None:
    world.outcomes = [*outcomes]
    start(trials=settings)[0].run()
    waits = 1 if outcomes == [STARVED, STARVED] else 0
    assert world.windows == [1.0, *[2.0, 2.0] * waits]


def test_a_trial_that_failed_for_another_reason_too_is_waited_for(start: Start, world: World) -> None:
    world.outcomes = [Verdict([*BAD.checks, *STARVED.checks]), GOOD]
    start(trials=ONE)[0].run()
    assert world.windows == [1.0, 2.0, 2.0]


OTHERS = ["harness-0badcafe-guest"]


def test_another_campaign_on_this_host_is_named_before_the_machine_starts(
    start: Start, world: World, tmp_path: Path
) -> None:
    world.other_machines = OTHERS
    campaign, folder = start(trials=ONE)
    campaign.run()
    event = warnings(folder)[0]
    assert event["text"].startswith("other machines of harness run on this host: harness-0badcafe-guest; each takes")
    assert event["other_machines"] == OTHERS
    shown = lines(tmp_path)
    assert shown.index(event["text"]) < shown.index("Bring up")


def test_a_campaign_that_another_one_joins_names_it_once(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def joins(**_: Any) -> list[str]:
        world.other_machines = OTHERS
        return []

    effects = world.effects()
    monkeypatch.setattr(world, "effects", lambda: replace(effects, other_machines=joins))
    campaign, folder = start()
    campaign.run()
    (event,) = warnings(folder)
    assert event["text"].startswith("other machines of harness ran while 000_nginx_ab was recorded: harness-0badcafe")
