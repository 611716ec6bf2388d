"""`harness diff`: the facts and the experiment in which two runs differ."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comparable_run
import pytest
import written_before
from command_line import harness
from guest_facts import KERNEL
from hostile import Terminal

from harness import spec
from harness.comparison.facts import run_difference
from harness.store import RunFolder
from harness.terminal.console import PlainConsole
from harness.terminal.run_difference import run_difference_tables

GIVEN = """name: small  # a comment
machine: {box: debian-12}
load: {kind: nginx_ab, concurrency: 5}
trials: {repeat: 3}
model: {predictors: [markov]}
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs in which `harness` looks by default."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def make(
    path: Path, arms: tuple[str, ...] = ("nginx_ab",), facts: Mapping[str, Any] | None = None, **more: Any
) -> Path:
    """A run whose guests say what they are."""
    comparable_run.make(path, arms=arms, **more)
    for folder in path.glob("trials/*"):
        (folder / "guest.json").write_text(json.dumps({"facts": {**KERNEL, **(facts or {})}}))
    return path


def given(path: Path, text: str = GIVEN, changes: Mapping[str, str] | None = None, **more: Any) -> Path:
    """A run of an experiment file, with changes of the command line."""
    experiment = spec.changed(spec.from_dict(_data(text), text=text), changes or {})
    digest = hashlib.sha256(text.encode()).hexdigest()
    return make(path, spec=spec.to_dict(experiment), spec_text=text, spec_sha256=digest, **more)


def _data(text: str) -> dict[str, Any]:
    from harness.spec.document import parse

    return dict(parse(text, "file").data)


def documented(*arguments: str | Path, code: int = 1) -> dict[str, Any]:
    return dict(json.loads(harness("diff", *arguments, "--json", code=code).stdout))


def facts(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["first"], row["second"]) for row in document["facts"]}


def test_a_run_and_itself_do_not_differ_nor_does_its_copy(runs: Path) -> None:
    first = given(runs / "2026-01-01_a")
    shutil.copytree(first, runs / "2026-01-02_b")
    for second in ("2026-01-01", "2026-01-02"):
        shown = harness("diff", "2026-01-01", second).stdout
        assert shown.splitlines()[-1] == "no fact differs, and the experiment is the same"
        found = documented("2026-01-01", second, code=0)
        assert (found["equal"], found["complete"]) == (True, True)


def test_facts_are_shown_under_their_groups_with_the_options_of_the_kernel(runs: Path) -> None:
    config = {"sha256": "b" * 64, "options": {"CONFIG_HZ": "1000", "CONFIG_PREEMPT": "y", "CONFIG_NO_HZ_FULL": "y"}}
    make(runs / "a")
    make(runs / "b", facts={"kernel_config": config, "clocksource": "hpet"}, host={"cpu": "Xeon"})
    shown = [" ".join(line.split()) for line in harness("diff", "a", "b", code=1).stdout.splitlines()]
    kernel = shown.index("guest kernel first second")
    assert shown.index("host first second") < kernel
    assert "host CPU AMD EPYC 9B14 Xeon" in shown[:kernel]
    assert {
        "guest CONFIG_HZ 250 1000",
        "guest CONFIG_NO_HZ_FULL - y",
        "guest clocksource tsc hpet",
        f"guest kernel configuration {'a' * 12} {'b' * 12}",
    } <= {*shown[kernel:]}
    assert not [line for line in shown if "CONFIG_PREEMPT" in line]
    assert {row["group"] for row in documented("a", "b")["facts"]} == {"host", "guest kernel"}


def test_all_facts_are_shown_on_request(runs: Path) -> None:
    make(runs / "a")
    shown = harness("diff", "a", "a", "--all").stdout
    assert "guest CONFIG_PREEMPT" in shown
    assert {"group": "host", "name": "host CPU", "value": "AMD EPYC 9B14"} in documented("a", "a", "--all", code=0)[
        "same"
    ]
    assert "same" not in documented("a", "a", code=0)


def test_two_files_are_compared_as_they_were_given_with_their_comments(runs: Path) -> None:
    given(runs / "a")
    given(runs / "b", GIVEN.replace("concurrency: 5}", "concurrency: 50}  # ten times as many"))
    found = documented("a", "b")
    assert found["experiment"][:2] == ["--- a/experiment.yaml", "+++ b/experiment.yaml"]
    changed = [line for line in found["experiment"][2:] if line[0] in "+-"]
    assert changed == [
        "-load: {kind: nginx_ab, concurrency: 5}",
        "+load: {kind: nginx_ab, concurrency: 50}  # ten times as many",
    ]
    assert " name: small  # a comment" in found["experiment"]
    assert facts(found) == {"experiment: load.concurrency": ("5", "50")}
    assert harness("diff", "a", "b", code=1).stdout.splitlines()[-1] == "differs: 1 value of the experiment"


def test_what_the_command_line_changed_is_compared_by_all_values(runs: Path) -> None:
    given(runs / "a")
    given(runs / "b", changes={"load.concurrency": "50"})
    changed = [line for line in documented("a", "b")["experiment"][2:] if line[0] in "+-"]
    assert changed == ["-  concurrency: 5", "+  concurrency: 50"]


def test_files_that_differ_in_a_comment_alone_differ(runs: Path) -> None:
    given(runs / "a")
    given(runs / "b", GIVEN.replace("# a comment", "# another"))
    assert facts(documented("a", "b")) == {}
    assert harness("diff", "a", "b", code=1).stdout.splitlines()[-1] == "differs: only words of the experiment file"


LEVELS = {"sweep": {"load.concurrency": [2, 8]}}
BOTH = ("nginx_ab__concurrency-2", "nginx_ab__concurrency-8")


def test_an_arm_that_only_one_run_has_is_named(runs: Path) -> None:
    make(runs / "a", BOTH, experiment=LEVELS)
    make(runs / "b", (BOTH[0], "nginx_ab__concurrency-9"), experiment={"sweep": {"load.concurrency": [2, 9]}})
    found = documented("a", "b")
    assert (found["only_first"], found["only_second"]) == ([BOTH[1]], ["nginx_ab__concurrency-9"])
    assert "only in the first: nginx_ab__concurrency-8" in harness("diff", "a", "b", code=1).stdout


def test_a_fact_that_differs_in_one_arm_alone_names_that_arm(runs: Path) -> None:
    make(runs / "a", BOTH, experiment=LEVELS)
    second = make(runs / "b", BOTH, experiment=LEVELS)
    for path in second.glob(f"trials/*_{BOTH[1]}/guest.json"):
        path.write_text(json.dumps({"facts": {**KERNEL, "clocksource": "hpet"}}))
    assert facts(documented("a", "b")) == {f"guest clocksource, {BOTH[1]}": ("tsc", "hpet")}


def test_a_run_of_another_version_is_compared_and_what_it_did_not_record_is_said(runs: Path) -> None:
    written_before.unpack(runs)
    make(runs / "b", host={"cpu": "Xeon"})
    found = documented(written_before.RUN, "b")
    assert facts(found)["host CPU"] == ("AMD EPYC", "Xeon")
    lacking = {row["second"] for row in found["facts"] if row["name"] == "facts of one side only"}
    assert "guest kernel configuration, guest kernel options, guest mitigations" in lacking
    assert documented(written_before.RUN, written_before.RUN, code=0)["equal"] is True


def test_a_run_under_way_without_a_trial_has_the_facts_that_its_manifest_has(runs: Path) -> None:
    make(runs / "a")
    second = make(runs / "b", state="interrupted", host={"cpu": "Xeon"})
    manifest = json.loads((second / "manifest.json").read_text())
    (second / "manifest.json").write_text(json.dumps({**manifest, "steps": {}}))
    shutil.rmtree(second / "trials")
    found = documented("a", "b")
    assert facts(found)["host CPU"] == ("AMD EPYC 9B14", "Xeon")
    assert (found["second"]["state"], found["second"]["trials"]) == ("interrupted", {"nginx_ab": 0})
    assert "box digest" not in facts(found)


def test_a_file_that_something_changed_is_named_and_left_out_so_that_equality_is_not_known(runs: Path) -> None:
    make(runs / "a")
    second = make(runs / "b")
    folder = RunFolder.open(second)
    with folder.lock():
        for name in ("000_nginx_ab", "001_nginx_ab", "002_nginx_ab"):
            folder.finish(f"trial:{name}", [second / "trials" / name / "guest.json"], 1.0, {"arm": "nginx_ab"})
    path = second / "trials" / "000_nginx_ab" / "guest.json"
    path.write_text(json.dumps({"facts": {**KERNEL, "clocksource": "forged"}}))
    shown = harness("diff", "a", "b", code=1).stdout
    assert "trials/000_nginx_ab/guest.json: changed" in shown
    assert "forged" not in shown
    assert shown.splitlines()[-1].startswith("incomplete, because")
    found = documented("a", "b")
    assert (found["equal"], found["complete"], found["facts"]) == (False, False, [])
    edited = json.loads((second / "manifest.json").read_text())
    (second / "manifest.json").write_text(json.dumps({**edited, "host": {**edited["host"], "cpu": "forged"}}))
    assert facts(documented("a", "b"))["manifest"] == ("as written", "changed by something else")


def test_on_a_terminal_lines_that_go_are_red_and_lines_that_come_are_green(tmp_path: Path) -> None:
    folders = [given(tmp_path / "a"), given(tmp_path / "b", GIVEN.replace("repeat: 3", "repeat: 4"))]
    found = run_difference.diff(*map(RunFolder.open, folders))
    terminal = Terminal()
    for part in run_difference_tables(found):
        PlainConsole(terminal).show(part)
    assert "\x1b[31m-trials: {repeat: 3}" in terminal.getvalue()
    assert "\x1b[32m+trials: {repeat: 4}" in terminal.getvalue()


def test_nothing_is_printed_quietly_and_the_code_says_it(runs: Path) -> None:
    make(runs / "a")
    make(runs / "b", host={"cpu": "Xeon"})
    assert harness("diff", "a", "b", "-q", code=1).stdout == ""
    assert "there is no run 'c'" in harness("diff", "a", "c", code=2).stderr
