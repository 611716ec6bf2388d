from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from locations import DATA
from rich.console import Console

from harness.terminal.score_tables import score_table
from harness.trace import convert
from model import jobs, predict
from model.data import synthetic
from model.jobs import Job
from model.scoring import caveats, folds, seeds

SPLIT = (0.7, 0.15, 0.15)


def made_on(folder: Path, kernel: str) -> Path:
    """The folder, with a guest.json that names the kernel."""
    (folder / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    return folder


def decided(folder: Path, name: str, states: dict[str, object]) -> Path:
    """The folder, with the file that holds what was decided when the recording was read."""
    (folder / name).write_text(json.dumps({"quality": {"states": states}, "header": {"os_release": "4.15.0-147"}}))
    return folder


@pytest.mark.parametrize(
    ("inputs", "kernel", "marked"),
    [
        ("runqueue", "4.13.9", False),
        ("runqueue", "4.14.0-1-amd64", True),
        ("runqueue", "4.19.0-27-cloud-amd64", True),
        ("runqueue", "4.20.1", False),
        ("runqueue", "5.10.0-32-cloud-amd64", False),
        ("slices", "4.19.0-27-cloud-amd64", False),
    ],
)
def test_run_queues_of_kernels_that_may_shift_states_have_a_caveat_where_nothing_was_decided(
    tmp_path: Path, inputs: str, kernel: str, marked: bool
) -> None:
    caveat = caveats.find_caveat(inputs, [made_on(tmp_path, kernel)])
    assert (caveat is not None and f"Linux {kernel} may contain some information about the future" in caveat) is marked


@pytest.mark.parametrize("name", ["recording.json", "trial.json"])
@pytest.mark.parametrize(
    ("states", "says"),
    [
        ({"shifted": True, "decided_by": "wakeups"}, "contains some information about the future"),
        ({"shifted": False, "decided_by": "left running"}, None),
        ({"shifted": False, "decided_by": "nothing"}, "may be wrong"),
    ],
)
def test_the_caveat_follows_what_was_decided_when_the_recording_was_read(
    tmp_path: Path, name: str, states: dict[str, object], says: str | None
) -> None:
    caveat = caveats.find_caveat("runqueue", [decided(made_on(tmp_path, "4.15.0-147"), name, states)])
    assert caveat is None if says is None else f"The run queue of Linux 4.15.0-147 {says}" in (caveat or "")
    assert caveats.find_caveat("slices", [tmp_path]) is None


def test_recordings_of_several_kernels_are_named_in_one_caveat(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    decided(folders[0], "recording.json", {"shifted": True, "decided_by": "wakeups"})
    made_on(folders[1], "4.19.1")
    decided(made_on(folders[2], "4.14.2"), "trial.json", {"shifted": True, "decided_by": "idle task"})
    caveat = caveats.find_caveat("runqueue", folders) or ""
    assert "The run queue of Linux 4.14.2, 4.15.0-147 contains" in caveat
    assert "The run queue of Linux 4.19.1 may contain" in caveat


@pytest.mark.parametrize(("recording", "marked"), [("0_55_shifted", True), ("0_147_stress", False)])
def test_real_recordings_of_one_version_have_a_caveat_only_if_the_kernel_shifts_states(
    recording: str, marked: bool, tmp_path: Path
) -> None:
    path = tmp_path / "perf.data"
    path.write_bytes(lzma.decompress((DATA / f"ubuntu_4_15_{recording}.perf.data.xz").read_bytes()))
    convert(path, tmp_path, tables=())
    assert (caveats.find_caveat("runqueue", [tmp_path]) is not None) is marked


def test_a_recording_that_does_not_name_its_kernel_has_no_caveat(tmp_path: Path) -> None:
    assert caveats.find_caveat("runqueue", [tmp_path]) is None


def test_the_caveat_is_stored_shown_and_kept_when_scores_are_combined(source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "old", source, 1_000)
    old = made_on(tmp_path / "old", "4.19.0-27-cloud-amd64")
    scored = {}
    for kind in ("fifo", "markov"):
        out = tmp_path / kind
        scored[kind] = jobs.run(Job((old,), kind, 0, "task", SPLIT, out))
        assert json.loads((out / "scores.json").read_text())["caveat"] == scored[kind]["caveat"]
        assert predict.scores(out, [old])["caveat"] == scored[kind]["caveat"]
        assert folds.summarise(seeds.summarise([{**scored[kind], "fold": "a"}]))[0]["caveat"] == scored[kind]["caveat"]
    assert scored["markov"]["caveat"] is None
    assert "Linux 4.19.0-27-cloud-amd64 may contain some information about the future" in scored["fifo"]["caveat"]
    for kinds, count in ((("fifo", "markov"), 1), (("fifo", "fifo"), 1), (("markov",), 0)):
        console = Console(width=300, record=True, quiet=False, file=(tmp_path / "shown").open("w"))
        console.print(score_table([seeds.combine_seeds([scored[kind]]) for kind in kinds]))
        assert console.export_text().count("some information about the future") == count
