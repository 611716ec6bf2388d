"""`harness.compare`: two arms of campaigns with chosen values, by runs, folders and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import campaign_run
import numpy as np
import pytest

import harness
from harness import comparison
from harness.api.distributions import Distributions
from harness.comparison.distribution import distributions
from harness.comparison.sentence import amount
from harness.errors import HostError, UsageError
from harness.store import RunFolder

FIRST, SECOND = "nginx_ab__concurrency-2", "nginx_ab__concurrency-8"
RATES = [100.0, 104.0, 99.0, 101.0, 98.0, 103.0, 100.5, 102.0]
SVG = "{http://www.w3.org/2000/svg}"
RUN = "2026-11-30T10-00-00_levels"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of 8 blocks in which the second arm does 5 % more, and the first has a twin."""
    folder = tmp_path_factory.mktemp("runs")
    arms = {FIRST: RATES, SECOND: [rate * 1.05 for rate in RATES], f"{FIRST}__again": [rate + 0.3 for rate in RATES]}
    campaign_run.make(folder / RUN, arms)
    return folder


def test_runs_are_given_as_objects_folders_and_the_beginnings_of_names(runs: Path) -> None:
    found = [
        harness.compare(harness.open_run(runs / RUN), metrics=["requests/s"]),
        harness.compare(runs / RUN, metrics=["requests/s"]),
        harness.compare("2026-11-30", metrics="requests/s", runs_dir=runs),
    ]
    assert {each.sentence for each in found} == {found[0].sentence}
    assert found[0].effect("requests/s").value == pytest.approx(0.05)
    assert found[0].effect("requests/s").outcome == "higher"


def test_it_says_what_the_package_for_comparisons_says(runs: Path) -> None:
    ours, theirs = harness.compare(runs / RUN), comparison.compare([RunFolder.open(runs / RUN)])
    assert isinstance(ours, comparison.Comparison)
    assert ours.frame().equals(theirs.frame())
    assert (ours.null is None, ours.facts, ours.settings) == (theirs.null is None, theirs.facts, theirs.settings)
    assert isinstance(ours.null, harness.Comparison)


def test_the_order_of_the_arms_is_the_one_that_is_asked_for(runs: Path) -> None:
    turned = harness.compare(runs / RUN, arms=(SECOND, FIRST), metrics=["requests/s"])
    assert turned.effect("requests/s").value == pytest.approx(1 / 1.05 - 1)


def test_a_notebook_shows_the_sentence_the_equals_and_a_row_for_each_metric(runs: Path) -> None:
    found = harness.compare(runs / RUN)
    text = found._repr_html_()
    for words in (
        "concurrency 8",
        "Two equals, by the same method",
        "requests/s",
        amount(found.effect("requests/s")),
        "one host",
    ):
        assert words in text
    assert text.count("<tr>") == 1 + len(found.effects)


def test_what_a_notebook_shows_of_a_hostile_arm_is_escaped(tmp_path: Path) -> None:
    campaign_run.make(tmp_path / "run", {"a<script>": RATES, "b\x1b[2J": RATES[::-1]})
    text = harness.compare(tmp_path / "run")._repr_html_()
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\x1b" not in repr(Distributions((), ("a", "b\x1b[2J")))


def test_distributions_are_those_of_the_package_and_their_frame_has_a_row_for_each_quantile(runs: Path) -> None:
    found = harness.compare(runs / RUN)
    ours, theirs = found.distributions(), distributions(found)
    assert [each.name for each in ours] == [each.name for each in theirs] != []
    frame, shift = ours.frame(), theirs[0].shifts[0]
    assert len(frame) == sum(len(each.shifts) for each in theirs)
    assert frame.loc[0, ["q", "first_us", "shift"]].tolist() == [shift.q, shift.first / 1000, shift.value]
    assert repr(ours).startswith(f"Distributions({theirs[0].name}")
    assert ours[:1].labels == ours.labels


def test_a_notebook_draws_a_curve_and_a_band_of_each_side_inside_the_figure(runs: Path) -> None:
    found = harness.compare(runs / RUN).distributions()
    (svg, *_) = [*ElementTree.fromstring(f"<div>{found._repr_html_()}</div>").iter(f"{SVG}svg")]
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    curves, bands = [*svg.iter(f"{SVG}polyline")], [*svg.iter(f"{SVG}polygon")]
    assert (len(curves), len(bands)) == (2, 2)
    for shape in (*curves, *bands):
        places = [tuple(map(float, pair.split(","))) for pair in shape.attrib["points"].split()]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    heights = [float(pair.split(",")[1]) for pair in curves[0].attrib["points"].split()]
    assert heights == sorted(heights, reverse=True)  # y runs downwards
    assert [text.text for text in svg.iter(f"{SVG}text") if text.text in found.labels] == [*found.labels]


def test_without_slices_nothing_is_drawn_and_that_is_said(tmp_path: Path) -> None:
    campaign_run.make(tmp_path / "run", {FIRST: RATES, SECOND: RATES[::-1]}, slices=False)
    found = harness.compare(tmp_path / "run").distributions()
    assert (len(found), len(found.frame())) == (0, 0)
    assert "No trials of both sides have a table of slices" in found._repr_html_()


def test_names_that_are_unknown_are_errors(runs: Path) -> None:
    with pytest.raises(UsageError, match="no arm 'apache'"):
        harness.compare(runs / RUN, arms=("apache", FIRST))
    with pytest.raises(UsageError, match="there is no run"):
        harness.compare("none", runs_dir=runs)
    with pytest.raises(UsageError, match="no run is given"):
        harness.compare()


@pytest.mark.parametrize("margin", [5, 1, 0, -0.01, float("nan"), "5 %", True, [0.01]])
def test_a_margin_is_a_share(runs: Path, margin: Any) -> None:
    with pytest.raises(UsageError, match="no margin") as caught:
        harness.compare(runs / RUN, margin=margin)
    assert "0.01 is 1 %" in str(caught.value)
    assert harness.compare(runs / RUN, margin=np.float32(0.1)).effects


def test_a_list_of_runs_is_answered_with_how_to_give_its_runs(runs: Path) -> None:
    for several in ([runs / RUN, runs / RUN], (runs / RUN,), harness.open_runs(runs), None):
        with pytest.raises(UsageError, match="no run, but a value of the type") as caught:
            harness.compare(several)  # type: ignore[arg-type]
        assert "compare(*runs)" in str(caught.value)
    assert harness.compare(*harness.open_runs(runs)).effects


def test_errors_name_no_option_of_the_command_line_alone(tmp_path: Path) -> None:
    arms = {f"ab__concurrency-{n}": RATES for n in (2, 4, 8)}
    run = campaign_run.make(tmp_path / "three", arms).path
    with pytest.raises(UsageError, match="more than two arms") as caught:
        harness.compare(run)
    assert "--" not in str(caught.value)
    few = harness.compare(run, arms=("concurrency-2", "concurrency-4"))
    assert few.sentence.endswith("or fewer metrics")


def test_its_page_is_one_file_that_holds_the_sentence(runs: Path, tmp_path: Path) -> None:
    found = harness.compare(runs / RUN)
    page = found.to_html(tmp_path / "pages" / "page.html")
    assert page == tmp_path / "pages" / "page.html"
    text = page.read_text("utf-8").replace("\u202f%", " %")
    assert found.sentence[1:].split("[")[0] in text  # its first letter may be a capital there
    with pytest.raises(HostError):
        found.to_html(page / "below a file.html")
