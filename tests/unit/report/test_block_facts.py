"""What the page says of the blocks of a campaign, and of the command that compares its arms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import campaign_run
import comparable_run
import pytest

from harness import spec
from harness.report import build
from harness.report.block_facts import block_rows, compare_command
from harness.report.run_facts import RunFacts, read_run
from harness.store import block_record

FIRST, SECOND = "nginx_ab__concurrency-2", "nginx_ab__concurrency-8"
RATES = {FIRST: [400.0, 410.0, 420.0], SECOND: [440.0, 450.0, None]}


def campaign(path: Path, arms: Any = None, blocks: dict[str, Any] | None = None, **sections: Any) -> RunFacts:
    """A campaign of three blocks, each of a boot of its own, that ended early in the last one."""
    document = {**comparable_run.EXPERIMENT, "sweep": {"load.concurrency": [2, 8]}, **sections}
    experiment = spec.from_dict(document)
    record = {**block_record.new(experiment), "planned": 3, "complete": 2, **(blocks or {})}
    made = {"spec": spec.to_dict(experiment), "blocks": record}
    return read_run(campaign_run.make(path, arms or RATES, boots=[0, 1, 2], late=[1], slices=False, **made).path)


def test_the_blocks_are_described_with_arms_order_boots_and_what_was_late(tmp_path: Path) -> None:
    rows = dict(block_rows(campaign(tmp_path / "run", trials={"repeat": 3, "seed": 7})))
    assert rows == {
        "blocks": "2 of 3 complete, each with every arm once",
        "arms": f"{FIRST}, {SECOND}",
        "order of the arms in a block": "drawn from the seed 7",
        "boots": "a new boot for every block; the recordings are of 3 boots",
        "recorded late, after a later block had begun": f"002_{FIRST}, 003_{SECOND}",
    }


def test_a_campaign_of_auto_says_its_rule_its_null_arm_and_what_ended_it(tmp_path: Path) -> None:
    ended = {"ended_by": "width", "history": [{"blocks": 6, "width": 0.0183}]}
    facts = campaign(
        tmp_path / "run",
        {SECOND: [1.0], FIRST: [1.0]},
        ended,
        trials={"blocks": "auto", "order": "listed", "reboot": "never"},
        compare={"null": True, "metric": "requests/s"},
    )
    rows = dict(block_rows(facts))
    assert rows["arms"] == f"{FIRST}, {SECOND}"  # the first is compared with the others, whichever was recorded first
    assert rows["null arm (A/A)"] == f"{FIRST}__again is {FIRST} again"
    assert rows["order of the arms in a block"] == "as listed"
    assert rows["boots"] == "no boot without need; the recordings are of 1 boot"
    assert rows["goes on until"].startswith("the 95\u202f% interval of requests/s of every arm")
    assert rows["ended"] == "because the interval of requests/s is 1.83\u202f% wide, and 2\u202f% was asked for"


def test_a_campaign_that_goes_on_has_not_ended(tmp_path: Path) -> None:
    assert dict(block_rows(campaign(tmp_path / "run", trials={"blocks": "auto"})))["ended"] == "not yet"


def test_one_arm_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    facts = campaign(tmp_path / "run", {"nginx_ab": [1.0, 2.0]}, sweep={})
    assert (block_rows(facts), compare_command(facts)) == ([], "")
    assert "How its arms can be compared" not in build(facts.folder).read_text()


@pytest.mark.parametrize("second", [None, 450.0])
def test_the_command_is_named_where_two_arms_have_a_usable_trial(tmp_path: Path, second: float | None) -> None:
    facts = campaign(tmp_path / "run", {FIRST: [400.0], SECOND: [second]})
    assert compare_command(facts) == ("harness compare run" if second else "")


def test_a_run_of_a_version_without_blocks_names_the_command_alone(tmp_path: Path) -> None:
    facts = read_run(campaign_run.make(tmp_path / "an old run", RATES, slices=False).path)
    assert block_rows(facts) == []
    page = build(facts.folder).read_text()
    assert "<code>harness compare &#39;an old run&#39;</code> says how far its arms differ" in page
    assert 'data-csv="blocks"' not in page


def test_a_page_of_the_comparison_is_linked_if_it_lies_in_the_run_folder(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "run").folder
    assert 'href="../comparison.html"' not in build(folder).read_text()
    (folder / "comparison.html").write_text("<!doctype html>")
    assert '<a href="../comparison.html">comparison.html</a>.</p>' in build(folder).read_text()


def test_a_page_outside_of_the_run_folder_is_not_linked(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "run").folder
    (tmp_path / "elsewhere.html").write_text("<!doctype html>")
    (folder / "comparison.html").symlink_to(tmp_path / "elsewhere.html")
    assert "../comparison.html" not in build(folder).read_text()


def test_arms_are_named_as_recorded_where_the_experiment_cannot_be_read(tmp_path: Path) -> None:
    facts = campaign(tmp_path / "run")
    known = {"spec": {**facts.manifest["spec"], "sweep": {"load.of_later": [1]}}, "blocks": facts.manifest["blocks"]}
    folder = campaign_run.make(tmp_path / "unknown", dict(reversed(RATES.items())), slices=False, **known).path
    assert dict(block_rows(read_run(folder)))["arms"] == f"{SECOND}, {FIRST}"
