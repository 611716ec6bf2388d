"""The page as text: whole, offline, and never broken by what it shows."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import hostile
import pytest
import synthetic_run

from harness.report import build
from harness.report.document import json_in_script

HOSTILE = "</script><img src=x onerror=alert(1)>"


def written(run: Path) -> str:
    return build(run).read_text("utf-8")


def test_the_report_is_one_file_in_the_run_folder(tmp_path: Path) -> None:
    path = build(synthetic_run.make_run(tmp_path, 500))
    assert path == tmp_path / "report" / "index.html"
    assert [found.name for found in path.parent.iterdir()] == ["index.html"]


def test_nothing_on_the_page_points_to_a_network(tmp_path: Path) -> None:
    page = written(synthetic_run.make_run(tmp_path, 500))
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", page)
    links = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page))
    assert links == {"data:,", "../manifest.json"}  # the only file of this run that the page names and that exists
    assert "default-src 'none'" in html.unescape(page)
    assert "unsafe" not in page


def test_no_element_has_an_inline_style_or_handler(tmp_path: Path) -> None:
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", written(synthetic_run.make_run(tmp_path, 500)), flags=re.DOTALL)
    assert not re.findall(r"<[a-z][^>]*\s(?:style|on[a-z]+)=", markup)


def test_json_in_a_script_cannot_end_it() -> None:
    shown = json_in_script({"name": HOSTILE + "<!--\u2028&"})
    assert not set(str(shown)) & set("<>&\u2028")
    assert json.loads(str(shown)) == {"name": HOSTILE + "<!--\u2028&"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [HOSTILE, hostile.NAME, "\x1b[31m\x00\x07", r"\xff\xfe\x80", "‮txt.exe", "", '"><svg/onload=1>']
)
def test_a_hostile_task_name_is_text_and_nothing_else(tmp_path: Path, name: str) -> None:
    run = hostile.run(tmp_path, name)
    page = written(run)
    plain = written(hostile.run(tmp_path / "plain", "harmless"))
    tags = re.compile(r"<(/?[a-z][a-z0-9]*)")
    assert tags.findall(page) == tags.findall(plain)
    assert not set(page) & set("\x00\x07\x1b\u202e")


def cases(run: Path) -> dict[str, Any]:
    """Run folders in which something is missing, and the sentence that the page must hold."""
    return {
        "nothing at all": (lambda: synthetic_run.write_manifest(run, steps={}, box=None), "No trial has been started"),
        "no model": (lambda: models_missing(run), "no predictor has been scored"),
        "no slices": (lambda: trial(run, None), "has no slices.parquet"),
        "an empty recording": (lambda: trial(run, synthetic_run.slices(0)), "holds no slice"),
        "one slice": (lambda: trial(run, synthetic_run.slices(1)), "000_nginx_ab"),
        "damaged slices": (lambda: damaged(run), "cannot be read"),
        "no predictor wanted": (lambda: record_only(run), "only records"),
        "no usable recording": (lambda: refused(run), "no usable recording has been made"),
        "no trial.json": (lambda: bare(run), "no verdict"),
    }


def trial(run: Path, table: Any) -> None:
    synthetic_run.write_manifest(run)
    synthetic_run.add_trial(run, "000_nginx_ab", table)


def models_missing(run: Path) -> None:
    trial(run, synthetic_run.slices(200))


def damaged(run: Path) -> None:
    trial(run, synthetic_run.slices(200))
    path = run / "trials" / "000_nginx_ab" / "slices.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def record_only(run: Path) -> None:
    spec = synthetic_run.manifest()["spec"] | {"model": {"predictors": []}}
    synthetic_run.write_manifest(run, spec=spec)
    synthetic_run.add_trial(run, "000_nginx_ab", synthetic_run.slices(200))


def refused(run: Path) -> None:
    record_only(run)
    path = run / "trials" / "000_nginx_ab" / "trial.json"
    path.write_text(path.read_text().replace('"ok": true, "checks"', '"ok": false, "checks"'))


def bare(run: Path) -> None:
    trial(run, synthetic_run.slices(200))
    for name in ("trial.json", "guest.json"):
        (run / "trials" / "000_nginx_ab" / name).unlink()


@pytest.mark.parametrize("case", list(cases(Path())))
def test_the_page_names_a_missing_piece(tmp_path: Path, case: str) -> None:
    make, expected = cases(tmp_path)[case]
    make()
    assert expected in written(tmp_path)


def test_the_page_says_how_many_switches_were_forced_contested_and_open(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    path = tmp_path / "models" / "markov_s0" / "scores.json"
    scores = json.loads(path.read_text())
    for name, events in {"overall": 33_419, "forced": 9_540, "contested": 23_879, "open": 18_279}.items():
        scores[name]["events"] = events
    path.write_text(json.dumps(scores))
    page = written(tmp_path).replace("\u202f", " ")
    assert "Of the 33 419 switches scored, 9 540 were forced and 23 879 contested (71.5 %)" in page
    assert "18 279 of the contested ones were <dfn>open</dfn>" in page


def test_every_score_of_the_protocol_is_on_the_page(tmp_path: Path) -> None:
    page = written(synthetic_run.make_run(tmp_path, 500))
    for name in ("top-1", "top-3", "macro recall", "bits", "time bits", "MAE (µs)", "CRPS (µs)"):
        assert page.count(f'<th scope="col" class="num">{name}</th>') == 4  # contested, open, forced, all
    assert page.count('<th scope="col" class="num">calibration error</th>') == 8
    assert "mix of triples in a row" in page


def test_online_scores_are_listed_beside_the_frozen_ones_and_are_never_the_best(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for seed in (0, 1):
        synthetic_run.add_model(tmp_path, "lstm", seed, 0.7)
        synthetic_run.add_model(tmp_path, "markov", seed, 0.6, online=synthetic_run.online(0.9))
    page = written(tmp_path).replace("\u202f", " ")
    assert page.count('<th scope="row">markov, online</th>') == 6  # two plots, all scores of four kinds of switches
    assert "<em>Online</em> is the same predictor if it also learns" in page
    assert "<strong>lstm</strong>, the best on the validation part" in page
    assert "lstm, online" not in page


def test_the_joint_likelihood_is_shown_where_it_was_scored(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    assert "joint bits" not in written(tmp_path)
    synthetic_run.add_model(tmp_path, "rmtpp", 0, 0.6, overall={"events": 9, "top1": 0.6, "joint_bits": 5.4321})
    page = written(tmp_path)
    assert page.count('<th scope="col" class="num">joint bits</th>') == 4
    assert page.count('<td class="num" data-v="5.4321">5.432</td>') == 1


def test_a_score_without_an_interval_is_shown_without_one(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    rare = {"events": 30, "top1": 0.6543, "top1_ci": None, "bits_per_switch": 0.98765, "bits_ci": None}
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6, open=rare)
    page = written(tmp_path).replace("\u202f", " ")
    assert '<td class="num" data-v="0.6543">65.4 %</td>' in page
    assert '<td class="num" data-v="0.98765">0.988</td>' in page
    assert "lie in too few blocks of time or in one of several trials, or" in page


def test_every_table_of_scores_names_the_arm(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for number, arm in enumerate(("c-5", "c-50")):
        trial = f"{number:03d}_{arm}"
        synthetic_run.add_trial(tmp_path, trial, synthetic_run.slices(100), arm=arm)
        synthetic_run.add_model(tmp_path, "markov", number, 0.6, trials=[trial])
    page = written(tmp_path).replace("\u202f", " ")
    assert page.count('<td class="arm">c-50</td>') == 1  # the head of the page
    assert page.count("<td>c-50</td>") == 5  # all scores of four kinds of switches, seed by seed
    assert "switches scored on c-5," in page
    assert "switches scored on c-50," in page
    assert len(re.findall(r"<strong>markov</strong> [a-z ]+ on c-50<", page)) == 2  # training curves
    assert "<strong>markov</strong> on c-50, seed 1" in page  # rollout


def test_every_check_is_shown_with_value_limit_and_reason(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    checks = synthetic_run.checks(lost_events=312)
    synthetic_run.add_trial(tmp_path, "000_nginx_ab", synthetic_run.slices(50), verdict={"ok": False, "checks": checks})
    page = written(tmp_path)
    for check in checks:
        assert check["why"] in page
    assert ">312</td>" in page
    assert "✗ failed" in page


def test_what_each_step_cost_and_how_to_repeat_it_are_on_the_page(tmp_path: Path) -> None:
    page = written(synthetic_run.make_run(tmp_path, 100)).replace("\u202f", " ")
    manifest = synthetic_run.manifest()
    assert ">112.9 s<" in page
    assert "harness run experiments/nginx_ab.yaml" in page
    assert manifest["spec_sha256"] in page
    assert manifest["box"]["digest"] in page
    assert "ab" * 32 in page


def test_a_hundred_thousand_slices_make_a_small_page(tmp_path: Path) -> None:
    path = build(synthetic_run.make_run(tmp_path, 50_000))
    assert path.stat().st_size < 3_000_000


@pytest.mark.slow
def test_the_page_stays_bounded_however_long_the_recordings_are(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_trial(tmp_path, "000_nginx_ab", synthetic_run.slices(400_000))
    page = written(tmp_path)
    assert len(page.encode()) < 6_000_000
    assert "the last 300\u202f000 of 400\u202f000 slices" in page


def test_a_caveat_of_a_score_is_on_the_page_once(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for kind, caveat in (("fifo", "knows <some> of the future"), ("cfs_replay", "knows <some> of the future")):
        synthetic_run.add_model(tmp_path, kind, 0, 0.6, regime="runqueue", caveat=caveat)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6, caveat=None)
    page = written(tmp_path)
    assert page.count("knows &lt;some&gt; of the future") == 1
    assert page.count('class="caveat"') == 1
    position = page.index('class="caveat"')
    assert "fifo" in page[position : position + 120]
    assert "cfs_replay" in page[position : position + 120]
    assert "markov" not in page[position : position + 120]
