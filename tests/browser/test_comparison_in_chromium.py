"""The page of a comparison in a real browser: it works, fetches nothing, and can be read by all and on paper."""

from __future__ import annotations

import csv
import html
import io
import json
import lzma
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import compared
import pyarrow as pa
import pytest
import synthetic_run
from locations import DATA
from pyarrow import parquet
from scripted_page import DARK, with_script

from harness.comparison import Comparison
from harness.comparison_page import write

pytestmark = pytest.mark.browser

MARK = "document.documentElement.dataset.owned=1"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Eleven blocks in three boots, of which one was lost and one completed later, with equals."""
    boots = [0] * 4 + [1] * 4 + [2] * 4
    path = tmp_path_factory.mktemp("compared") / "run"
    return compared.make(path, 12, null=True, lost=(3,), late=(5,), boots=boots, predictors=("markov", "ctw"))


@pytest.fixture(scope="module")
def page(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(comparison, tmp_path_factory.mktemp("page") / "comparison.html")


def script(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


@pytest.mark.parametrize("scheme", [[], [DARK]], ids=["light", "dark"])
def test_axe_finds_nothing_with_folds_closed_and_open(chromium: Any, page: Path, scheme: list[str]) -> None:
    axe = lzma.decompress((DATA / "axe_core" / "axe.min.js.xz").read_bytes()).decode("utf-8")
    shown = chromium(with_script(page, axe + script("run_axe.js")), *scheme)
    assert json.loads(html.unescape(shown.attribute("data-violations") or "null")) == []
    assert int(shown.attribute("data-passed") or 0) > 25


def test_both_timelines_unpack_and_obey_their_keys_and_the_console_is_empty(chromium: Any, page: Path) -> None:
    shown = chromium(page, fragment="#check")
    assert shown.console == []
    assert shown.attribute("data-page") == "ready"
    assert re.findall(r'data-check="([^"]*)"', shown.markup) == ["ok", "ok"]


def test_the_timelines_have_one_scale_move_together_and_every_table_is_saved(
    chromium: Any, page: Path, comparison: Comparison
) -> None:
    shown = chromium(with_script(page, script("use_comparison.js")))
    used = json.loads(unquote(shown.attribute("data-out") or "null"))
    assert used["start"][0] == used["start"][1]
    assert used["moved"][0] == used["moved"][1] != used["start"][0]
    assert used["height"][0] == used["height"][1] > used["hidden"][0] == used["hidden"][1]
    assert used["without"] == 0  # every table has its data

    tables = {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in used["files"].items()}
    numbers = {row["metric"]: row for row in tables["numbers.csv"]}
    for effect in comparison.effects:
        row = numbers[effect.metric.name]
        assert float(row["effect"]) == pytest.approx(effect.value)
        assert float(row["effect, low"]) == pytest.approx(effect.interval.low if effect.interval else None)
        assert row["outcome"] == effect.outcome
    assert len(tables["blocks.csv"]) == sum(len(effect.blocks) for effect in comparison.effects)
    assert {row["late"] for row in tables["blocks.csv"]} == {"true", "false"}
    assert {"effects-ratio.csv", "equals-share.csv", "trials.csv", "timeline-second.csv"} <= set(used["files"])


def test_the_page_is_no_wider_than_a_phone(chromium: Any, page: Path) -> None:
    frame = page.with_name("phone.html")
    frame.write_text(
        f"<iframe id=f width=400 height=800 src='{page.name}'></iframe><script>f.onload=()=>{{"
        "const d=f.contentDocument.documentElement;"
        "document.body.dataset.wide=d.scrollWidth+' of '+d.clientWidth}</script>"
    )
    assert chromium(frame, "--allow-file-access-from-files").attribute("data-wide") == "400 of 400"


def test_no_table_is_cut_off_by_the_edge_of_the_paper_and_folds_are_printed(
    chromium: Any, page: Path, tmp_path: Path
) -> None:
    wide = (
        "matchMedia('print').addEventListener('change',()=>{const on=(part)=>part.getBoundingClientRect().right;"
        "document.title=[...document.querySelectorAll('table')].filter((table)=>on(table)>on(document.body)+1)"
        ".map((table)=>table.dataset.csv).join()||'all fit '+[...document.querySelectorAll('details')]"
        ".filter((fold)=>!fold.open).length})"
    )
    chromium(with_script(page, wide), f"--print-to-pdf={tmp_path / 'page.pdf'}")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert re.findall(rb"/Title \((.*)\)", printed) == [b"all fit 0"]
    assert b"/Subtype /Image" not in printed  # the screen's timelines, in their size and colours, would be some


def test_hostile_names_of_tasks_and_arms_run_nothing(chromium: Any, tmp_path: Path) -> None:
    names = {"ab": f"<script>{MARK}<", "nginx": f'"><svg onload="{MARK}">', "perf": "\x1b[31m\x07\u202e"}
    arms = (f"a <img src=x onerror={MARK}>", f"b <!--<script>{MARK}")
    shown = chromium(write(compared.make(tmp_path / "run", 6, names=names, arms=arms), tmp_path / "page.html"))
    assert shown.console == []
    assert shown.attribute("data-owned") is None
    assert shown.attribute("data-page") == "ready"
    assert "<img" not in shown.markup


def test_another_cpu_is_chosen_on_both_sides_at_once(chromium: Any, tmp_path: Path) -> None:
    comparison = compared.make(tmp_path / "run", 2, predictors=())
    for number, folder in enumerate(sorted((tmp_path / "run" / "trials").iterdir())):
        cpus = [synthetic_run.slices(600 + 50 * number, 2 * number + cpu, cpu=cpu) for cpu in (0, 1)]
        parquet.write_table(pa.concat_tables(cpus), folder / "slices.parquet")
    page = write(comparison, tmp_path / "page.html")
    pick = (
        "addEventListener('load',()=>{"
        "const [a,b]=['first','second'].map(side=>document.getElementById(`timeline-${side}-pick`));"
        "a.value='1';a.dispatchEvent(new Event('change'));"
        "document.body.dataset.picked=[a.value,b.value,a.options.length].join()})"
    )
    assert chromium(with_script(page, pick)).attribute("data-picked") == "1,1,2"
    assert re.findall(r'data-check="([^"]*)"', chromium(page, fragment="#check").markup) == ["ok", "ok"]
