"""The blocks of a campaign in words: what is planned, and what ended it."""

from __future__ import annotations

from typing import Any

import pytest

from harness import spec
from harness.spec import Experiment
from harness.store import block_record
from harness.terminal import block_lines

SMALL = {"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "nginx_ab"}}
SWEEP = {"load.concurrency": [2, 8]}


def experiment(**sections: Any) -> Experiment:
    return spec.from_dict({**SMALL, **sections})


def planned(one: Experiment) -> list[str]:
    return [text.plain for text in block_lines.plan_lines(one)]


def test_one_arm_alone_has_no_blocks_to_show() -> None:
    assert planned(experiment()) == []
    assert block_lines.run_lines({"blocks": block_record.new(experiment())}, 1) == []
    assert block_lines.run_lines({}, 2) == []  # of a version that knew no blocks


def test_a_plan_says_how_its_arms_are_compared() -> None:
    (first,) = planned(experiment(sweep=SWEEP, trials={"repeat": 4, "seed": 5}))
    assert first.startswith("blocks: 4, each 2 arms in an order drawn with the seed 5; a new boot for every block; ")
    (listed,) = planned(experiment(sweep=SWEEP, trials={"order": "listed", "reboot": "never"}))
    assert "in an order as listed; no boot without need" in listed


def test_a_plan_of_an_open_number_of_blocks_says_its_rule_and_its_null_arm() -> None:
    compare = {"metric": "requests/s", "width": "1.5 %", "max_hours": 2, "null": True}
    blocks, rule, null = planned(experiment(sweep=SWEEP, trials={"blocks": "auto", "repeat": 9}, compare=compare))
    assert blocks.startswith("blocks: 9 or more, each 3 arms")
    assert rule == (
        "until the 95 % interval of requests/s of every arm against the first is 1.5 % wide or less, "
        "or 2 h of recording are over; after 9 blocks at least, 1,000 at most"
    )
    assert null == "null arm: nginx_ab__concurrency-2__again is nginx_ab__concurrency-2 again"


def test_the_plan_of_a_run_that_goes_on_has_the_blocks_that_it_has_so_far() -> None:
    one = experiment(sweep=SWEEP, trials={"blocks": "auto"})
    record = {**block_record.new(one), "planned": 9, "history": [{"blocks": 9, "width": 0.018}]}
    blocks, rule = [text.plain for text in block_lines.plan_lines(one, record)]
    assert blocks.startswith("blocks: 9 or more, each 2 arms")
    assert rule.startswith("until the 95 % interval of requests/s of every arm")
    blocks, rule = [text.plain for text in block_lines.plan_lines(one, {**record, "ended_by": "width"})]
    assert blocks.startswith("blocks: 9, each 2 arms")
    assert rule == "ended because the interval of requests/s is 1.8 % wide, and 2 % was asked for"


@pytest.mark.parametrize(
    ("by", "width", "words"),
    [
        (None, 0.031, "until the 95 % interval of"),
        ("width", 0.0183, "ended because the interval of requests/s is 1.83 % wide, and 2 % was asked for"),
        ("max_hours", 0.031, "ended after 8 h of recording: the interval of requests/s is 3.1 % wide"),
        ("max_hours", None, "the interval of requests/s is not known, and 2 % was asked for"),
        ("max_blocks", 0.031, "ended at the largest number of blocks: the interval of requests/s is 3.1 % wide"),
    ],
)
def test_a_run_says_what_ended_its_blocks(by: str | None, width: float | None, words: str) -> None:
    one = experiment(sweep=SWEEP, trials={"blocks": "auto"}, compare={"metric": "requests/s"})
    record = {**block_record.new(one), "complete": 5, "history": [{"blocks": 6, "width": width}], "ended_by": by}
    (line,) = block_lines.run_lines({"blocks": record}, 2)
    assert line.plain.startswith("blocks: 5 of 6 complete; a new boot for every block; ")
    assert words in line.plain
