"""The blocks of a campaign: boots, trials that a block lost, how many there are, and going on after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import BAD, GOOD, HOPELESS, FakeMachine, World
from one_process import one_after_the_other

from harness import plan, workers
from harness.campaign import recording_time, spec_change, steps
from harness.campaign.repetition import Changes, experiment_of
from harness.comparison.stopping import Decision, Rule
from harness.errors import BoxError, Interrupted, TrialError
from harness.spec import Experiment
from harness.store import RunFolder, run_progress
from harness.terminal import block_lines

pytestmark = pytest.mark.slow

Start = Callable[..., Any]
LEVELS = {"load.concurrency": [2, 8]}
AUTO = {"sweep": LEVELS, "trials": {"blocks": "auto", "repeat": 1, "attempts": 1, "order": "listed"}}


@dataclass
class FakeRule:
    """Ends a campaign at the first width that is small enough; keeps what it was asked."""

    widths: list[float | BaseException | None]
    hours: float | None = None
    asked: list[tuple[int, Rule]] = field(default_factory=list)

    def __call__(self, folder: RunFolder, experiment: Experiment, rule: Rule, hours: float) -> Decision:
        self.asked.append((folder.manifest["blocks"]["complete"], rule))
        width = self.widths.pop(0)
        if isinstance(width, BaseException):
            raise width
        if width is not None and width <= rule.width and self.asked[-1][0] >= rule.minimum:
            return Decision(True, "width", width, 0)
        over = self.hours is not None and len(self.asked) >= self.hours
        return Decision(over, "max_hours" if over else None, width, 0)


@pytest.fixture(autouse=True)
def two_blocks_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FEWEST_BLOCKS", 2)


def trials_of(world: World) -> list[str]:
    return [line.removeprefix("trial ") for line in world.log if line.startswith("trial ")]


def test_every_block_of_a_comparison_has_a_boot_of_its_own(start: Start, world: World) -> None:
    campaign, folder = start(sweep=LEVELS)
    assert campaign.run().ok
    boots = [line.split()[0] for line in world.log if line.split()[0] in ("up", "trial", "down")]
    assert boots == ["up", "trial", "trial", "down"] * 2
    blocks = folder.manifest["blocks"]
    assert (blocks["planned"], blocks["complete"], blocks["ended_by"], blocks["rule"]) == (2, 2, "fixed", None)
    (line,) = block_lines.run_lines(folder.manifest, 2)
    assert line.plain == "blocks: 2 of 2 complete; a new boot for every block"


def test_the_time_of_boots_adds_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 100_000, 10))  # every look at the clock is 10 s after the one before
    monkeypatch.setattr(steps, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    campaign, folder = start(sweep=LEVELS)
    campaign.run()
    taken = {name: step["seconds"] for name, step in folder.manifest["steps"].items()}
    assert (taken["up:debian-12"], taken["down:debian-12"]) == (20, 20)
    assert taken["trial:000_nginx_ab__concurrency-2"] == 10


def test_without_reboots_all_blocks_share_one_boot_also_if_their_number_is_open(start: Start, world: World) -> None:
    trials = {**AUTO["trials"], "reboot": "never"}
    campaign, folder = start(sweep=LEVELS, trials=trials, decide=FakeRule([None, 0.5, 0.01]))
    assert campaign.run().ok
    assert [line.split()[0] for line in world.log] == ["box", "up", "provision", *["trial"] * 6, "down"]
    assert folder.manifest["blocks"]["ended_by"] == "width"


def test_an_open_number_of_blocks_ends_by_the_width_that_was_asked_for(
    start: Start, world: World, tmp_path: Path
) -> None:
    rule = FakeRule([0.001, 0.08, 0.05, 0.018])
    campaign, folder = start(**AUTO, compare={"metric": "requests/s"}, decide=rule)
    assert campaign.run().ok
    assert [asked for asked, _ in rule.asked] == [1, 2, 3, 4]
    assert rule.asked[0][1] == Rule("requests/s", 0.02, 8.0, 2)
    manifest = folder.manifest
    blocks = manifest["blocks"]
    assert (blocks["planned"], blocks["complete"], blocks["ended_by"]) == (4, 4, "width")
    assert [(seen["blocks"], seen["width"]) for seen in blocks["history"]] == [
        (1, 0.001),
        (2, 0.08),
        (3, 0.05),
        (4, 0.018),
    ]
    assert manifest["trials_planned"] == 8 == len(trials_of(world))
    assert [event["blocks"] for event in folder.events() if event["kind"] == "block"] == [1, 2, 3, 4]
    screen = (tmp_path / "screen.txt").read_text()
    assert "after block 3: the interval of requests/s is 5 % wide, 2 % is asked for; 0.00 of 8 h" in screen
    (line,) = block_lines.run_lines(manifest, 2)
    assert "ended because the interval of requests/s is 1.8 % wide, and 2 % was asked for" in line.plain


def test_the_hours_end_a_campaign_also_before_its_least_number_of_blocks(
    start: Start, world: World, tmp_path: Path
) -> None:
    campaign, folder = start(**AUTO, decide=FakeRule([None], hours=1))
    assert campaign.run().ok
    assert "after block 1: the interval of requests/s is not known yet, 2 %" in (tmp_path / "screen.txt").read_text()
    blocks = folder.manifest["blocks"]
    assert (blocks["planned"], blocks["complete"], blocks["ended_by"]) == (1, 1, "max_hours")
    assert folder.manifest["trials_planned"] == 2 == len(trials_of(world))


def test_the_largest_number_of_blocks_ends_a_campaign(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.campaign.blocks.MAX_BLOCKS", 3)
    campaign, folder = start(**AUTO, decide=FakeRule([0.5] * 3))
    assert campaign.run().ok
    assert folder.manifest["blocks"]["ended_by"] == "max_blocks"


def test_a_campaign_of_an_arm_that_cannot_be_recorded_does_not_go_on_for_all_its_hours(
    start: Start, world: World
) -> None:
    world.outcomes = [GOOD, HOPELESS] * 2
    campaign, folder = start(**AUTO, decide=FakeRule([None, None]))
    assert campaign.run().unusable == ("0001_nginx_ab__concurrency-8", "0003_nginx_ab__concurrency-8")
    blocks = folder.manifest["blocks"]
    assert (blocks["planned"], blocks["complete"], blocks["ended_by"]) == (2, 0, "none_complete")
    (line,) = block_lines.run_lines(folder.manifest, 2)
    assert line.plain.endswith("ended because each of 2 blocks lost a trial")


def test_a_run_stopped_in_the_middle_of_a_block_goes_on_with_the_rest_of_it(start: Start, world: World) -> None:
    world.outcomes = [GOOD, GOOD, GOOD, GOOD, GOOD, Interrupted("stopped by SIGINT")]
    campaign, folder = start(**AUTO, decide=FakeRule([None, 0.5]))
    with pytest.raises(Interrupted):
        campaign.run()
    assert folder.manifest["blocks"]["planned"] == 3
    world.log.clear()
    world.outcomes = []
    rule = FakeRule([0.3, 0.01])
    assert start(folder=folder, decide=rule)[0].run().ok
    assert trials_of(world)[0] == "0005_nginx_ab__concurrency-8 attempt 1"
    assert [asked for asked, _ in rule.asked] == [3, 4]
    assert [seen["blocks"] for seen in folder.manifest["blocks"]["history"]] == [1, 2, 3, 4]


def test_a_run_stopped_between_two_blocks_evaluates_its_rule_again(start: Start, world: World) -> None:
    campaign, folder = start(**AUTO, decide=FakeRule([None, Interrupted("stopped by SIGINT")]))
    with pytest.raises(Interrupted):
        campaign.run()
    assert world.up == set()
    assert folder.state == "interrupted"
    assert run_progress.of(folder) is None
    world.log.clear()
    rule = FakeRule([0.01])
    assert start(folder=folder, decide=rule)[0].run().ok
    assert (trials_of(world), [asked for asked, _ in rule.asked]) == ([], [2])
    assert folder.manifest["blocks"]["ended_by"] == "width"


def test_a_campaign_that_its_rule_ended_records_no_more_when_it_is_run_again(start: Start, world: World) -> None:
    campaign, folder = start(**AUTO, decide=FakeRule([None, 0.01]))
    campaign.run()
    world.log.clear()
    assert start(folder=folder, decide=FakeRule([]))[0].run().ok
    assert world.log == []
    assert folder.manifest["blocks"]["planned"] == 2


def test_a_trial_that_its_block_lost_is_recorded_once_more_after_the_last_block(start: Start, world: World) -> None:
    world.outcomes = [GOOD, BAD, GOOD, GOOD, GOOD]
    trials = {"repeat": 2, "attempts": 1, "order": "listed"}
    campaign, folder = start(sweep=LEVELS, trials=trials)
    assert campaign.run().ok
    names = ["000_nginx_ab__concurrency-2", "001_nginx_ab__concurrency-8"]
    assert [line.split()[0] for line in trials_of(world)][:2] == names
    assert trials_of(world)[-1] == "001_nginx_ab__concurrency-8 attempt 1"
    assert world.late == [False, False, False, False, True]
    assert folder.manifest["blocks"]["complete"] == 2
    assert (folder.path / "attempts" / "001_nginx_ab__concurrency-8-1").is_dir()


@pytest.mark.parametrize(("outcome", "tried"), [(HOPELESS, 1), (BAD, 2)])
def test_a_trial_that_would_fail_again_is_not_recorded_once_more(
    start: Start, world: World, outcome: Any, tried: int
) -> None:
    world.outcomes = [outcome, GOOD, GOOD, GOOD, outcome]
    campaign, folder = start(sweep=LEVELS, trials={"repeat": 2, "attempts": 1, "order": "listed"})
    assert campaign.run().unusable == ("000_nginx_ab__concurrency-2",)
    assert sum(line.startswith("000") for line in trials_of(world)) == tried
    assert folder.manifest["blocks"]["complete"] == 1
    assert folder.state == "failed"


def test_a_resumed_run_records_what_earlier_blocks_lost_after_the_last_block(start: Start, world: World) -> None:
    world.outcomes = [BAD, GOOD, GOOD, TrialError("gone")]
    campaign, folder = start(sweep=LEVELS, trials={"repeat": 2, "attempts": 1, "order": "listed"})
    with pytest.raises(TrialError):
        campaign.run()
    world.log.clear()
    world.late.clear()
    assert start(folder=folder)[0].run().ok
    assert [line[:3] for line in trials_of(world)] == ["003", "000"]
    assert world.late == [False, True]


def test_a_late_trial_gets_the_machine_that_the_others_had(start: Start, world: World, tmp_path: Path) -> None:
    world.cache = tmp_path / "cache"
    world.outcomes = [BAD, GOOD, GOOD, GOOD]
    kinds = {"load.kind": ["idle", "nginx_ab"]}
    campaign, folder = start(sweep=kinds, trials={"repeat": 2, "attempts": 1, "order": "listed"})
    assert campaign.run().ok
    assert world.log.count("keep") == 1
    assert [line for line in world.log if line.startswith("provision")] == ["provision perf nginx apache2_utils wrk"]
    assert folder.manifest["steps"]["trial:000_idle"]["state"] == "done"


def test_only_the_machine_of_the_last_boot_stays_up_where_it_is_to_be_kept(
    start: Start, world: World, tmp_path: Path
) -> None:
    campaign, _ = start(sweep=LEVELS, keep=True)
    assert campaign.run().ok
    assert [line.split()[0] for line in world.log if line.split()[0] in ("up", "down")] == ["up", "down", "up"]
    assert world.up == {"debian-12"}
    assert (tmp_path / "screen.txt").read_text().count("the machine stays up") == 1


def test_no_machine_is_said_to_stay_up_where_the_next_boot_failed(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def down(machine: FakeMachine) -> None:
        world.boxes["debian-12"] = BoxError("no space")  # for the second block
        taken_down(machine)

    taken_down = FakeMachine.down
    monkeypatch.setattr(FakeMachine, "down", down)
    with pytest.raises(BoxError):
        start(sweep=LEVELS, keep=True)[0].run()
    assert world.up == set()
    assert "stays up" not in (tmp_path / "screen.txt").read_text()


def test_the_null_arm_is_recorded_in_every_block(start: Start, world: World) -> None:
    campaign, folder = start(compare={"null": True}, trials={"repeat": 2, "order": "listed"})
    assert campaign.run().ok
    assert [line.split()[0] for line in trials_of(world)][:2] == ["000_nginx_ab", "001_nginx_ab__again"]
    assert sorted(folder.manifest["arms"]) == ["nginx_ab", "nginx_ab__again"]


def test_a_run_with_an_open_number_of_blocks_is_repeated_with_those_that_it_has(start: Start, world: World) -> None:
    campaign, folder = start(**AUTO, decide=FakeRule([None, 0.5, 0.01]))
    campaign.run()
    repeated = experiment_of(folder, Changes({}))
    assert (repeated.trials.blocks, repeated.trials.repeat) == ("fixed", 3)
    assert experiment_of(folder, Changes({"trials.repeat": "5"})).trials.repeat == 5
    assert experiment_of(folder, Changes({"trials.blocks": "auto"})).trials.blocks == "auto"


def test_other_models_of_an_open_campaign_are_trained_on_all_of_its_blocks(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "run_in_processes", one_after_the_other)
    campaign, folder = start(**AUTO, decide=FakeRule([None, 0.5, 0.01]))
    campaign.run()
    values = {**folder.manifest["spec"], "model": {**folder.manifest["spec"]["model"], "predictors": ["most_frequent"]}}
    from harness import spec

    spec_change.make(folder, spec.from_dict(values), ["harness"])
    assert start(folder=RunFolder.open(folder.path), decide=FakeRule([]))[0].run().ok
    scores = folder.path / "models" / "nginx_ab__concurrency-2.most_frequent_s0" / "scores.json"
    assert "0004_nginx_ab__concurrency-2" in scores.read_text()


def test_a_run_under_way_says_that_blocks_may_follow(start: Start, world: World) -> None:
    texts = []

    class Looking(FakeRule):
        def __call__(self, folder: RunFolder, *rest: Any) -> Decision:
            progress = run_progress.of(folder)
            assert progress is not None
            texts.append(progress.text)
            return super().__call__(folder, *rest)

    start(**AUTO, decide=Looking([None, 0.01]))[0].run()
    assert texts == ["between two steps, 2 of 4 or more trials done", "between two steps, 4 of 4 or more trials done"]


def test_hours_are_those_of_boots_trials_and_waits_over_all_processes() -> None:
    def event(kind: str, step: str, minute: int) -> dict[str, str]:
        return {"kind": kind, "step": step, "time": f"2026-11-22T10:{minute:02d}:00.000Z"}

    events = [
        event("begin", "up:debian-12", 0),
        event("finish", "up:debian-12", 6),
        event("begin", "trial:000_x", 10),  # its process was killed
        event("begin", "trial:000_x", 20),
        event("fail", "trial:000_x", 26),
        event("begin", "train", 30),
        event("finish", "train", 50),
        {"kind": "warning", "time": "2026-11-22T10:51:00.000Z"},
    ]
    assert recording_time.hours(events) == pytest.approx(0.2)
