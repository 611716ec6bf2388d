"""Whatever path a user names, a command ends at once, in little memory, with a sentence of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import foreign_files
import pytest
import written_before
from command_line import LIMIT_S, harness

from harness.errors import EXIT_FAILED, EXIT_HOST, EXIT_USAGE

EXPERIMENT = "name: x\nmachine: {box: debian-12}\nload: {kind: idle}\n"


@pytest.mark.slow
def test_every_command_refuses_a_path_that_it_cannot_use(tmp_path: Path) -> None:
    (folder := tmp_path / "places").mkdir()
    tmp_path.chmod(0o755)
    own = {"HARNESS_CACHE": str(tmp_path / "cache"), "HARNESS_STATE": str(tmp_path / "state")}
    command = [sys.executable, foreign_files.__file__, str(folder), *foreign_files.COMMANDS]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, check=True, env={**os.environ, **own}
    )
    ended = json.loads(done.stdout)
    assert len(ended) == len(foreign_files.COMMANDS) * 11
    for one in ended:
        assert one["code"] in (EXIT_FAILED, EXIT_USAGE, EXIT_HOST), one
        assert "error: " in one["said"], one
        assert "defect" not in one["said"], one
        assert "\x1b" not in one["said"], one
    wrong = [one for one in ended if one["command"] in ("run", "box build --lock") and one["place"] != "secret"]
    assert {one["code"] for one in wrong} == {EXIT_USAGE}


def test_an_experiment_of_a_thousand_wrong_keys_shows_the_first(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(EXPERIMENT + "".join(f"k{number}: 1\n" for number in range(1000)))
    said = harness("run", path, "--dry-run", code=EXIT_USAGE).stderr
    assert said.count("unknown key") == 20
    assert f"{path}:4:1: unknown key 'k0'" in said
    assert said.rstrip().endswith("... and more: these are the first 20 problems")


@pytest.mark.parametrize(
    "more",
    ["model: {predictors: [" + "a," * 500 + "a]}\n", "sweep: {record.seconds: [" + "1," * 500 + "1]}\n",
     "sweep:\n" + "".join(f"  k{number}: [1]\n" for number in range(500))],
    ids=["predictors", "swept values", "swept keys"],
)  # fmt: skip
def test_so_does_one_with_a_long_list_of_wrong_values(tmp_path: Path, more: str) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(EXPERIMENT + more)
    said = harness("run", path, "--dry-run", code=EXIT_USAGE).stderr
    assert said.count(f"{path}:") <= 21
    assert len(said) < 20_000


def test_a_value_of_megabytes_is_refused_in_a_short_sentence() -> None:
    said = harness("run", "smoke", "--dry-run", "--set", f"question={'x' * 3_000_000}", code=EXIT_USAGE).stderr
    assert "this value is too long" in said
    assert len(said) < 1000


@pytest.mark.parametrize("name", ["trial.json", "recording.json", "guest.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "too large"])
def test_facts_beside_tables_that_are_no_file_are_refused_or_not_known(tmp_path: Path, name: str, kind: str) -> None:
    trial = written_before.unpack(tmp_path / "old") / written_before.TRIAL
    (tables := tmp_path / "tables").mkdir()
    (trial / "slices.parquet").rename(tables / "slices.parquet")
    path = tables / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(foreign_files.HUGE)
    harness("evaluate", tables, "-p", "most_frequent", code=0 if name == "guest.json" else EXIT_FAILED)


@pytest.mark.parametrize(("variable", "command"), [("HARNESS_CACHE", "box ls"), ("HARNESS_STATE", "down")])
@pytest.mark.parametrize("value", ["~no-such-user-here/x", "loop"])
def test_a_folder_of_ones_own_that_cannot_be_is_said_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, command: str, value: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    assert f"{variable}={value}: this is no folder" in harness(*command.split(), code=EXIT_HOST).stderr
