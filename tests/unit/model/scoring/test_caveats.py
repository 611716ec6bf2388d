from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from harness.terminal.score_tables import score_table
from model import jobs, predict
from model.data import synthetic
from model.jobs import Job
from model.scoring import caveats, folds, seeds

SPLIT = (0.7, 0.15, 0.15)


def made_on(folder: Path, kernel: str) -> Path:
    """The folder, with a guest.json that names the kernel."""
    (folder / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
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
def test_run_queues_of_kernels_that_shift_states_have_a_caveat(
    tmp_path: Path, inputs: str, kernel: str, marked: bool
) -> None:
    caveat = caveats.find_caveat(inputs, [made_on(tmp_path, kernel)])
    assert (caveat is not None and ".".join(kernel.split(".")[:2]) in caveat) is marked


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
    assert "Linux 4.19 contains some information about the future" in scored["fifo"]["caveat"]
    for kinds, count in ((("fifo", "markov"), 1), (("fifo", "fifo"), 1), (("markov",), 0)):
        console = Console(width=300, record=True, quiet=False, file=(tmp_path / "shown").open("w"))
        console.print(score_table([seeds.combine_seeds([scored[kind]]) for kind in kinds]))
        assert console.export_text().count("some information about the future") == count
