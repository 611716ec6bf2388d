"""The report in a real browser: it works, fetches nothing, and runs nothing but its own scripts."""

from __future__ import annotations

import csv
import html
import io
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import hostile
import pytest
import synthetic_run
from locations import DATA
from scripted_page import DARK, with_script

from harness.report import build

pytestmark = pytest.mark.browser

WITH_UNIT = re.compile(r"['+\u2212-]*\d[\d.]*([\s\u202f%].*|[nµm]?s|[kMG]?B)")  # a number for the eye
MARK = "document.documentElement.dataset.owned=1"
HOSTILE = [
    hostile.NAME,
    f"</script><img src=x onerror={MARK}>",
    f"<script>{MARK}</script>",
    f'"><svg onload="{MARK}">',
    f"<!--<script>{MARK}//-->",
    "\x1b[31m\x00\x07\u202e",
    r"\xff\xfe\xfa\x80\xff\xfe\xfa\x80\xff\xfe\xfa\x80\xff\xfe\xfa",
]


def checked(chromium: Any, run: Path) -> Any:
    return chromium(build(run), fragment="#check")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run whose models were scored on the end of its recordings."""
    run = synthetic_run.make_run(tmp_path_factory.mktemp("scored") / "run", 3_000)
    trials = ["000_nginx_ab", "001_nginx_ab"]
    record = run / "trials" / trials[0] / "trial.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "host": synthetic_run.host(0.0123456)}))
    synthetic_run.add_test_part(run, "markov", 0, trials)
    for seed in range(3):
        synthetic_run.add_test_part(run, "lstm", seed, trials, 3)
    return build(run)


def test_the_timeline_shows_every_slice_and_its_keys_work(chromium: Any, tmp_path: Path) -> None:
    page = checked(chromium, synthetic_run.make_run(tmp_path / "run", 4_000))
    assert page.console == []
    assert page.attribute("data-page") == "ready"
    assert page.attribute("data-check") == "ok"
    assert page.attribute("data-slices") == "8000"


def test_a_hundred_thousand_slices_are_drawn_as_few_rectangles(chromium: Any, tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path / "run")
    synthetic_run.add_trial(tmp_path / "run", "000_nginx_ab", synthetic_run.slices(100_000))
    page = checked(chromium, tmp_path / "run")
    assert page.attribute("data-check") == "ok"
    assert page.attribute("data-slices") == "100000"
    drawn = page.attribute("data-frame-rects")  # counted, not timed: the time depends on the machine
    assert drawn is not None
    assert 100 < int(drawn) < 20_000


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_task_name_runs_nothing(chromium: Any, tmp_path: Path, name: str) -> None:
    run = hostile.run(tmp_path / "run", name)
    page = checked(chromium, run)
    assert page.console == []
    assert page.attribute("data-owned") is None
    assert page.attribute("data-check") == "ok"
    assert "<img" not in page.markup


def test_the_clocks_and_the_hosts_share_are_seen_before_anything_is_opened(chromium: Any, tmp_path: Path) -> None:
    run = synthetic_run.make_run_of_two_clocks(tmp_path / "run")
    script = (
        "document.body.dataset.head=Math.round(document.querySelector('nav').getBoundingClientRect().top);"
        "document.body.dataset.seen=[...document.querySelectorAll('#conditions p, .banner h2, .meanwhile caption')]"
        ".filter(e=>e.checkVisibility()).length"
    )
    shown = chromium(with_script(build(run), script), "--window-size=1100,1200")
    assert shown.console == []
    assert shown.attribute("data-seen") == "7"  # two clocks, that they are not compared, spread, again; banner; table
    assert int(shown.attribute("data-head") or 0) < 1850


def test_the_policy_stops_scripts_and_requests_that_are_not_the_pages_own(chromium: Any, tmp_path: Path) -> None:
    path = build(synthetic_run.make_run(tmp_path / "run", 200))
    broken_in = (
        f'<script>{MARK}</script><img src="{tmp_path.as_uri()}/x.png" onerror="{MARK}"><p style="color:red"></p>'
    )
    path.write_text(path.read_text("utf-8").replace("<footer>", broken_in + "<footer>"), "utf-8")
    page = chromium(path, fragment="#check")
    assert page.attribute("data-owned") is None
    assert page.attribute("data-check") == "ok"
    assert len([line for line in page.console if "Content Security Policy" in line]) >= 3


def test_a_run_with_nothing_in_it_is_a_page_without_errors(chromium: Any, tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path / "run", steps={}, box=None, machine=None)
    page = checked(chromium, tmp_path / "run")
    assert page.console == []
    assert page.attribute("data-page") == "ready"
    assert "Nothing has been recorded" in page.markup


@pytest.mark.parametrize("make", [synthetic_run.make_run, synthetic_run.make_run_of_two_clocks])
def test_the_page_is_no_wider_than_a_phone(chromium: Any, tmp_path: Path, make: Callable[..., Path]) -> None:
    path = build(make(tmp_path / "run", 500))
    frame = tmp_path / "phone.html"
    probe = (
        "<iframe id=f width=400 height=800 src='run/report/index.html'></iframe><script>f.onload=()=>{"
        "const d=f.contentDocument.documentElement;"
        "document.body.dataset.wide=d.scrollWidth+' of '+d.clientWidth}</script>"
    )
    frame.write_text(probe)
    page = chromium(frame, "--allow-file-access-from-files")
    assert path.is_file()
    assert page.attribute("data-wide") == "400 of 400"


def test_the_best_predictors_of_several_arms_are_seen_whole_on_a_small_laptop(chromium: Any, tmp_path: Path) -> None:
    build(synthetic_run.make_run_of_two_clocks(tmp_path / "run", 500))
    (tmp_path / "laptop.html").write_text(
        "<iframe id=f width=1068 height=800 src='run/report/index.html'></iframe><script>f.onload=()=>{"
        "const d=f.contentDocument.querySelector('.headline').parentElement;"
        "document.body.dataset.wide=Math.max(0,d.scrollWidth-d.clientWidth)}</script>"
    )
    page = chromium(tmp_path / "laptop.html", "--allow-file-access-from-files")
    assert page.attribute("data-wide") == "0"


@pytest.mark.parametrize("scheme", [[], [DARK]], ids=["light", "dark"])
def test_axe_finds_nothing_with_folds_closed_and_open(chromium: Any, scored: Path, scheme: list[str]) -> None:
    axe = lzma.decompress((DATA / "axe_core" / "axe.min.js.xz").read_bytes()).decode("utf-8")
    page = chromium(with_script(scored, axe + script("run_axe.js")), *scheme)
    assert json.loads(html.unescape(page.attribute("data-violations") or "null")) == []
    assert int(page.attribute("data-passed") or 0) > 30


def script(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


def result(page: Any) -> dict[str, Any]:
    return dict(json.loads(unquote(page.attribute("data-out") or "null")))


def test_tables_sort_data_are_saved_and_the_address_keeps_the_view(chromium: Any, scored: Path) -> None:
    used = result(chromium(with_script(scored, script("use_page.js"))))
    assert used["down"] == sorted(used["before"], reverse=True)
    assert used["up"] == sorted(used["before"])
    assert used["again"] == used["before"]
    assert [used[f"{way}Said"] for way in ("down", "up", "again")] == ["descending", "ascending", None]
    assert used["without"] == 0  # every table has its data
    assert used["miss"].endswith("lstm, seed 0: miss")

    texts = "'=1+1,'+1+1,'-1+1,'@SUM(A1),'\t=1,\"'\r=1\",\"'\n=1\",'-,a=1\r\n"
    assert used["guarded"] == texts + "-1,-1,-2.5e-9,+3,,\r\n"  # no formula, and a number stays one

    tables = {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in used["files"].items()}
    for name, rows in tables.items():
        assert not [cell for row in rows for cell in row.values() if WITH_UNIT.fullmatch(cell)], name
    side = {row["quantity"]: row for row in tables["trials.csv"]}
    assert 1e8 < float(side["recorded (s)"]["000_nginx_ab"]) * 1e9 < 2e8
    assert 1e3 < float(side["median wakeup latency (ns)"]["000_nginx_ab"]) < 1e4
    assert "contested part of all switches" not in side  # it is drawn
    assert tables["host-meanwhile.csv"][0]["share"] == "0.0123456"
    assert {row["outcome"] for row in tables["checks-000_nginx_ab.csv"]} == {"passed"}

    files = {name: text.splitlines() for name, text in used["files"].items()}
    scores = json.loads((scored.parent.parent / "models" / "markov_s0" / "scores.json").read_text())
    (row,) = [line.split(",") for line in files["scores-contested.csv"] if line.startswith("markov,")]
    expected = [scores["contested"]["top1"], *scores["contested"]["top1_ci"]]
    assert [float(value) for value in row[3:6]] == pytest.approx(expected)
    assert len(files["lstm_s0-valid_bits.csv"]) == 1 + 3 * 30  # 30 epochs of three seeds
    assert len(files["timeline.csv"]) == 1 + 3_000
    assert files["rollout-markov_s0.csv"][1] == "0,ab#0,ab#0"
    assert {"tasks-000_nginx_ab-distributions.csv", "best.csv", "scores-top1-seeds.csv", "files.csv"} <= set(files)

    again = result(chromium(with_script(scored, script("read_view.js")), fragment=used["hash"]))
    assert again == {
        "trial": "1",
        "predictor": "lstm_s0",
        "read": used["miss"],
        "sorted": again["sorted"],
        "open": True,
    }
    assert again["sorted"].endswith("d")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_what_is_folded_is_printed_and_the_timeline_is_drawn_for_paper(
    chromium: Any, scored: Path, tmp_path: Path, scripts: bool
) -> None:
    page = scored.with_name("printed.html")
    text = scored.read_text("utf-8")
    page.write_text(text if scripts else re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL), "utf-8")
    chromium(page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    manifest = (scored.parent.parent / "manifest.json").as_uri()  # linked in a fold that is closed
    printed = (tmp_path / "page.pdf").read_bytes()
    assert manifest.encode() in printed
    assert b"/Subtype /Image" not in printed  # the screen's timeline, in its size and colours, would be one


def test_no_table_of_many_trials_is_cut_off_by_the_edge_of_the_paper(chromium: Any, tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path / "run")
    for number in range(16):
        synthetic_run.add_trial(
            tmp_path / "run", f"{number:03d}_nginx_ab__clock-host", synthetic_run.slices(20, number)
        )
    wide = (
        "matchMedia('print').addEventListener('change',()=>{const on=(part)=>part.getBoundingClientRect().right;"
        "document.title=[...document.querySelectorAll('table')].filter((table)=>on(table)>on(document.body)+1)"
        ".map((table)=>table.dataset.csv).join()||'all fit'})"
    )
    chromium(with_script(build(tmp_path / "run"), wide), f"--print-to-pdf={tmp_path / 'page.pdf'}")
    (title,) = re.findall(rb"/Title \((.*)\)", (tmp_path / "page.pdf").read_bytes())
    assert title == b"all fit"
