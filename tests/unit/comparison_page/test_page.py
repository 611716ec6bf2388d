"""The page of a comparison as text: whole, offline, in order, and never broken by what it shows."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import campaign_run
import compared
import hostile
import pytest

from harness.comparison import Comparison, compare
from harness.comparison.facts.fact_difference import FactDifference
from harness.comparison_page import amounts, write
from harness.comparison_page.page import sentence


def page(tmp_path: Path, *arguments: Any, **options: Any) -> str:
    return write(compared.make(tmp_path / "run", *arguments, **options), tmp_path / "page.html").read_text("utf-8")


@pytest.fixture(scope="module")
def compared_with_equals(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compared.make(tmp_path_factory.mktemp("equals") / "run", null=True)


@pytest.fixture(scope="module")
def whole(compared_with_equals: Comparison, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a comparison that has everything."""
    return write(compared_with_equals, tmp_path_factory.mktemp("page") / "page.html").read_text("utf-8")


def test_the_page_shows_equals_then_facts_then_the_result(whole: str) -> None:
    order = [
        "answer",
        "equals",
        "facts",
        "metrics",
        "numbers",
        "blocks",
        "distributions",
        "stretches",
        "method",
        "sources",
    ]
    places = [whole.index(f'id="{name}"') for name in order]
    assert places == sorted(places)


def test_an_alarm_stands_above_the_sentence_and_no_equal_is_the_better(tmp_path: Path) -> None:
    rates = [400.0 + block for block in range(12)]
    arms = {"ab": rates, "b": rates, "ab__again": [1.1 * rate for rate in rates]}
    found = compare([campaign_run.make(tmp_path / "run", arms)], ("ab", "b"))
    text = write(found, tmp_path / "page.html").read_text("utf-8")
    assert text.index("Alarm: ab against itself is called different in") < text.index('id="answer"')
    equals = text[text.index('id="equals"') : text.index('id="facts"')]
    assert ">higher<" in equals
    assert "better" not in equals


def test_dozens_of_options_of_two_kernels_are_folded_below_the_facts(
    compared_with_equals: Comparison, tmp_path: Path
) -> None:
    options = [FactDifference(f"guest CONFIG_{n}", "y", "-", "guest kernel", "machine.kernel") for n in range(9)]
    kernel = FactDifference("guest kernel", "6.1", "6.12", "guest kernel", "machine.kernel")
    found = replace(compared_with_equals, settings=(kernel, *options))
    facts = write(found, tmp_path / "page.html").read_text("utf-8").split('id="facts"')[1].split('id="metrics"')[0]
    shown, folded = facts.split("<details>")
    assert "6.12" in shown
    assert "CONFIG_" not in shown
    assert "9 options of the kernel\u2019s configuration, which follow from the arm" in folded
    assert folded.count("guest CONFIG_") == 9


def test_nothing_on_the_page_points_to_a_network_and_nothing_is_inline(whole: str) -> None:
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", whole)
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', whole)) == {"data:,"}
    assert "default-src 'none'" in html.unescape(whole)
    assert "unsafe" not in whole
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", whole, flags=re.DOTALL)
    assert not re.findall(r"<[a-z][^>]*\s(?:style|on[a-z]+)=", markup)


def test_the_sentence_and_every_metric_are_on_the_page(compared_with_equals: Comparison, whole: str) -> None:
    text = html.unescape(whole)
    assert compared_with_equals.sentence[1:] in text.replace("\u2212", "-").replace("\u202f%", " %")
    for effect in compared_with_equals.effects:
        assert text.count(f'<th scope="row">{effect.metric.name}</th>') == 3  # equals, forest, exact numbers


def test_the_main_metric_of_equals_is_seen_before_a_fold_is_opened(
    compared_with_equals: Comparison, whole: str
) -> None:
    assert compared_with_equals.null is not None
    main = compared_with_equals.null.effects[0]
    shown = f"requests/s: {amounts.effect_text(main)} {amounts.interval_text(main)}."
    assert whole.index("It called none of") < whole.index(shown) < whole.index("metrics of two equals")


def test_fewer_than_six_blocks_show_effects_and_ranges_and_no_p_value(tmp_path: Path) -> None:
    comparison = compared.make(tmp_path / "run", 4)
    text = write(comparison, tmp_path / "page.html").read_text("utf-8")
    assert "too few blocks to say" in text
    assert 'data-low="' not in text
    assert {effect.outcome for effect in comparison.effects} == {"too few"}
    assert "No arm was recorded twice" in text


def test_arms_that_were_recorded_without_a_tracer_have_the_numbers_of_their_load(tmp_path: Path) -> None:
    text = page(tmp_path, slices=False, predictors=())
    assert "no trial of concurrency 2 has a table of slices" in text
    assert '<th scope="row">requests/s</th>' in text
    assert '<figure class="timeline"' not in text


def test_facts_that_differ_stand_above_the_result(tmp_path: Path) -> None:
    comparison = compared.make(tmp_path / "run", machine={compared.ARMS[1]: {"kernel": "6.12.1"}})
    text = write(comparison, tmp_path / "page.html").read_text("utf-8")
    for fact in comparison.facts:
        assert text.index(f">{html.escape(fact.name)}") < text.index('id="metrics"')


@pytest.mark.slow
def test_hostile_names_of_tasks_and_arms_are_text_and_nothing_else(tmp_path: Path) -> None:
    name = hostile.NAME.replace("/", "")  # a trial's folder is named after its arm
    names = {"ab": hostile.NAME, "perf": "</script><img src=x onerror=alert(1)>"}
    text = page(tmp_path, names=names, arms=(f"a {name}"[:60], f"b {name}"[:60]))
    plain = page(tmp_path / "plain", arms=("a plain", "b plain"))
    tags = re.compile(r"<(/?[a-z][a-z0-9]*)")
    assert tags.findall(text) == tags.findall(plain)
    assert not set("\x07\x08\x1b\u200b\u202e") & set(text)


def test_two_runs_that_share_no_block_have_effects_and_no_blocks(tmp_path: Path) -> None:
    rates = {"a": 400.0, "b": 420.0}
    runs = [campaign_run.make(tmp_path / name, {"nginx_ab": [rate, rate + 1]}) for name, rate in rates.items()]
    comparison = compare(runs)
    text = write(comparison, tmp_path / "page.html").read_text("utf-8")
    assert not comparison.design.interleaved
    assert "share no block" in text
    assert '<figure class="block-panel">' not in text


def test_sides_without_a_metric_in_common_have_a_page(compared_with_equals: Comparison, tmp_path: Path) -> None:
    names = {"first": ("requests/s",), "second": ("bogo ops/s",)}
    empty = replace(compared_with_equals, effects=(), null=None, missing=names)
    text = write(empty, tmp_path / "page.html").read_text("utf-8")
    assert "have no metric in common" in text
    assert "only <em>concurrency 2</em> has requests/s; only <em>concurrency 8</em> has bogo ops/s" in text


def test_one_metric_alone_has_a_page(compared_with_equals: Comparison, tmp_path: Path) -> None:
    alone = replace(compared_with_equals, effects=compared_with_equals.effects[:1], null=None)
    text = write(alone, tmp_path / "page.html").read_text("utf-8")
    assert 'class="block-panel"' in text
    assert "more metrics, block by block" not in text


@pytest.mark.slow
def test_twelve_predictors_have_a_row_each_on_the_axes_of_accuracy(tmp_path: Path) -> None:
    names = [f"predictor_{number}_with_a_long_name" for number in range(12)]
    text = page(tmp_path, predictors=names)
    for name in names:
        assert text.count(f'<th scope="row">{name}: contested accuracy</th>') == 2  # forest, exact numbers
    assert "more metrics, block by block" in text


def test_the_sentence_begins_with_a_capital_unless_it_begins_with_a_name(compared_with_equals: Comparison) -> None:
    def shown(text: str) -> str:
        comparison = replace(compared_with_equals)
        comparison.__dict__["sentence"] = text
        return sentence(comparison)

    assert shown("whether it differs: -3 % [-4, -2]") == "Whether it differs: \u22123\u202f% [\u22124, \u22122]."
    assert shown("concurrency 8 serves more") == "concurrency 8 serves more."


def test_a_note_that_the_sentence_has_is_not_said_again(compared_with_equals: Comparison, tmp_path: Path) -> None:
    comparison = replace(
        compared_with_equals, design=replace(compared_with_equals.design, notes=("one host: alone", "few"))
    )
    comparison.__dict__["sentence"] = "it is higher; few"
    text = write(comparison, tmp_path / "page.html").read_text("utf-8")
    assert "<p>One host: alone.</p>" in text
    assert "<p>Few.</p>" not in text
