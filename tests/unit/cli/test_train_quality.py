"""`train`, `evaluate` and `predict` judge the recordings that they read, as `trace convert` judged them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import harness, notes
from shorten import shortened

from model.files import sealed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cut(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a recording whose file was cut."""
    folder = tmp_path_factory.mktemp("cut")
    (folder / "perf.data").write_bytes(shortened(raw.read_bytes(), 12_000)[:1_000_000])
    harness("trace", "convert", folder / "perf.data", "-o", folder / "tables", "--formats-from", raw, code=1)
    return folder / "tables"


@pytest.fixture(scope="module")
def model(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    harness("train", tables, "-p", "markov", "-o", folder)
    return folder / "markov_s0"


def changed(tables: Path, folder: Path, **quality: Any) -> Path:
    """A copy of these tables with another judgement."""
    path = Path(shutil.copytree(tables, folder)) / "recording.json"
    facts = json.loads(path.read_bytes())
    path.write_text(json.dumps(sealed({**facts, "quality": {**facts["quality"], **quality}})))
    return folder


def test_sound_recordings_are_one_line(tables: Path, tmp_path: Path) -> None:
    twin = changed(tables, tmp_path / "twin")
    ended = harness("train", tables, twin, "-p", "markov", "-o", tmp_path / "models")
    samples = 2 * json.loads((tables / "recording.json").read_bytes())["quality"]["samples"]
    assert notes(ended) == f"sound: 2 recordings, {samples:,} samples, nothing missing\n"
    assert harness("train", tables, "-p", "markov", "-o", tmp_path / "models", "-q").stderr == ""


def test_a_cut_recording_is_named_and_its_scores_are_printed_and_kept(tables: Path, cut: Path, tmp_path: Path) -> None:
    ended = harness("train", tables, cut, "-p", "markov", "-o", tmp_path, code=1)
    first, last = notes(ended).splitlines()
    assert first.startswith(f"warning: {cut}: it is not whole: ")
    assert "cut" in first
    assert last == "warning: of 2 recordings, 1 not whole, so the exit code is 1"
    assert "markov" in ended.stdout
    assert (tmp_path / "markov_s0" / "scores.json").is_file()


def test_strict_refuses_before_anything_is_trained(cut: Path, model: Path, tmp_path: Path) -> None:
    for command in (
        ["train", cut, "-p", "markov", "-o", tmp_path / "models"],
        ["evaluate", cut, "-p", "markov"],
        ["evaluate", cut, "--model", model],
        ["predict", cut, "--model", model],
    ):
        refused = harness(*command, "--strict", code=1)
        assert f"error: {cut}: it is not whole: " in refused.stderr
        assert refused.stdout == ""
    assert not (tmp_path / "models").exists()


def test_a_stored_model_applied_to_a_cut_recording_exits_with_1_after_its_results(cut: Path, model: Path) -> None:
    for command in ("evaluate", "predict"):
        ended = harness(command, cut, "--model", model, code=1)
        assert f"warning: {cut}: it is not whole: " in ended.stderr
        assert len(ended.stdout.splitlines()) > 2


def test_json_has_the_quality_of_each_recording(tables: Path, cut: Path, model: Path, tmp_path: Path) -> None:
    known = json.loads((cut / "recording.json").read_bytes())["quality"]
    wanted = {"recording": str(cut), "sound": False, **known}
    trained = json.loads(harness("train", tables, cut, "-p", "markov", "-o", tmp_path, "--json", code=1).stdout)
    assert [one["sound"] for one in trained["recordings"]] == [True, False]
    assert trained["recordings"][1] == wanted
    scored = json.loads(harness("evaluate", cut, "--model", model, "--json", code=1).stdout)
    assert scored["recordings"] == [wanted]
    folds = ["evaluate", tables, cut, "-p", "markov", "--split", "recording", "--json"]
    assert json.loads(harness(*folds, code=1).stdout)["recordings"] == trained["recordings"]
    predicted = json.loads(harness("predict", cut, "--model", model, "--events", "2", "--json", code=1).stdout)
    assert (len(predicted["predictions"]), predicted["recordings"]) == (2, [wanted])


def test_a_recording_tested_on_is_judged_too(tables: Path, cut: Path) -> None:
    ended = harness("evaluate", tables, "--test", cut, "-p", "markov", code=1)
    assert f"warning: {cut}: it is not whole: " in ended.stderr


def test_a_warning_about_a_whole_recording_is_no_failure(tables: Path, tmp_path: Path) -> None:
    shifted = changed(tables, tmp_path / "shifted", warnings=["prev_state is\x1b[2J shifted"])
    ended = harness("evaluate", shifted, "-p", "markov")
    assert notes(ended) == f"warning: {shifted}: prev_state is\\x1b[2J shifted\n"


def test_the_verdict_of_a_trial_decides_because_the_experiment_sets_its_limits(tables: Path, tmp_path: Path) -> None:
    lossy = changed(tables, tmp_path / "000_nginx_ab", whole=False, lost_events=3)
    assert f"warning: {lossy}: it is not whole: 3 events lost" in harness("evaluate", lossy, code=1).stderr
    (lossy / "trial.json").write_text(json.dumps({"verdict": {"ok": True, "checks": []}}))
    ended = harness("evaluate", lossy, "-p", "markov", "--strict")
    assert ended.stderr.startswith("sound: 1 recording, ")


def test_tables_of_a_version_that_judged_nothing_are_no_failure(tables: Path, tmp_path: Path) -> None:
    old = changed(tables, tmp_path / "old")
    (old / "recording.json").unlink()
    ended = harness("evaluate", old, "-p", "markov", "--strict")
    unjudged, unknown = notes(ended).splitlines()
    assert unjudged == "note: 1 recording not judged: converted by an older version"
    assert unknown.startswith("note: The kernel of old (nothing names it) is not known")
    known = json.loads(harness("evaluate", old, "-p", "markov", "--json").stdout)["recordings"]
    assert known == [{"recording": str(old), "sound": None}]


def test_damage_that_only_a_later_version_knows_counts(tables: Path, tmp_path: Path) -> None:
    later = changed(tables, tmp_path / "later", whole=False, eaten_by={"worms": 3})
    ended = harness("evaluate", later, "-p", "markov", code=1)
    assert f"warning: {later}: it is not whole: another version says no more" in ended.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "recording.json is damaged"),
        ("{}", "quality is missing"),
        ('{"quality": {"whole": 1}}', "quality.whole is 1"),
        ('{"quality": {"whole": true, "warnings": 7}}', "quality.warnings is 7"),
    ],
)
def test_a_damaged_judgement_is_an_error_that_names_the_file(
    content: str, words: str, tables: Path, tmp_path: Path
) -> None:
    damaged = changed(tables, tmp_path / "damaged")
    (damaged / "recording.json").write_text(content)
    refused = harness("evaluate", damaged, "-p", "markov", code=1)
    assert f"{damaged / 'recording.json'}: " in refused.stderr
    assert words in refused.stderr
