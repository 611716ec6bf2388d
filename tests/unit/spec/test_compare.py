"""`compare` and what `trials` says of blocks: percentages, old words, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from json_schema import fits

from harness import spec
from harness.errors import SpecError
from harness.spec import Experiment

HEAD = "name: x\nmachine: {box: a}\nload: {kind: nginx_ab}\n"
SWEEP = "sweep: {load.concurrency: [2, 8]}\n"


def load(text: str, **overrides: str) -> Experiment:
    return spec.load_bytes((HEAD + text).encode(), "x.yaml", overrides)


def error_of(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "width"), [("0.02", 0.02), ("2 %", 0.02), ("2%", 0.02), ("2.1 %", 0.021), ("'0.7 %'", 0.007)]
)
def test_a_width_is_a_share_or_a_percentage(text: str, width: float) -> None:
    experiment = load(f"compare: {{width: {text}, margin: {text}}}\n")
    assert (experiment.compare.width, experiment.compare.margin) == (width, width)
    assert spec.to_dict(experiment)["compare"]["width"] == width
    assert spec.from_dict(spec.to_dict(experiment)).compare == experiment.compare


@pytest.mark.parametrize("text", ["0", "0 %", "-1", "'2'", "two", "300 %", "2 % wide", "true"])
def test_a_width_that_is_none_is_refused_with_its_place(text: str) -> None:
    message = error_of(f"compare:\n  width: {text}\n")
    assert message.startswith("x.yaml:5:10: compare.width is ")


def test_a_width_in_words_is_told_how_to_write_a_percentage() -> None:
    message = error_of("compare:\n  width: 2 percent\n")
    assert "expected: a number such as 0.02, or a percentage such as 2 %" in message


@pytest.mark.parametrize("width", [0.02, "2 %", "2%", 0, "2", -1, True, "two"])
def test_the_schema_accepts_the_same_widths(width: object) -> None:
    schema = spec.schema()
    try:
        spec.from_dict({**SMALL, "compare": {"width": width}})
        right = True
    except SpecError:
        right = False
    assert fits({**SMALL, "compare": {"width": width}}, schema, schema) is right


SMALL = {"name": "x", "machine": {"box": "a"}, "load": {"kind": "nginx_ab"}}


def test_null_is_a_key_in_a_file_and_on_the_command_line() -> None:
    assert load("compare: {null: true}\n").compare.null
    assert load("", **{"compare.null": "true"}).compare.null
    assert spec.load_bytes(spec.to_yaml(spec.to_dict(load("compare: {null: true}\n"))).encode(), "y.yaml").compare.null
    assert "is read by YAML as null" in error_of("compare: {~: true}\n")


def test_the_order_of_earlier_versions_is_that_of_blocks() -> None:
    assert load("trials: {order: shuffled}\n").trials.order == "blocks"
    assert load("").trials == load("trials: {order: blocks}\n").trials


@pytest.mark.parametrize(
    ("sections", "reboot"),
    [
        ("", "never"),
        (SWEEP, "every block"),
        ("compare: {null: true}\n", "every block"),
        (SWEEP + "trials: {reboot: never}\n", "never"),
        ("trials: {reboot: every block}\n", "every block"),
    ],
)
def test_machines_are_booted_anew_for_every_block_where_arms_are_compared(sections: str, reboot: str) -> None:
    assert load(sections).reboot == reboot


@pytest.mark.parametrize(("sections", "words"), [("", "no sweep"), ("sweep: {load.concurrency: [2]}\n", "one arm")])
def test_an_open_number_of_blocks_needs_arms_to_compare(sections: str, words: str) -> None:
    message = error_of(f"trials:\n  blocks: auto\n{sections}compare: {{null: true}}\n")
    assert message.startswith(f"x.yaml:5:11: trials.blocks is 'auto', and there is {words}")
    assert "two arms" in message
    assert load("trials: {blocks: auto}\n" + SWEEP).trials.blocks == "auto"


def test_the_experiment_of_an_arm_has_no_null_arm_and_no_open_number_of_blocks(tmp_path: Path) -> None:
    experiment = load("trials: {blocks: auto}\ncompare: {null: true}\n" + SWEEP)
    arm = spec.apply(experiment, {"load.concurrency": 2})
    assert (arm.trials.blocks, arm.compare.null, arm.reboot) == ("fixed", False, "every block")
