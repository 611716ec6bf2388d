from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from harness.terminal import tables
from model import jobs, predict
from model.jobs import Job
from model.scoring import caveats, folds, seeds

SPLIT = (0.7, 0.15, 0.15)


def made_on(recording: Path, out: Path, kernel: str) -> Path:
    shutil.copytree(recording, out)
    (out / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    return out


@pytest.mark.parametrize(
    ("regime", "kernel", "marked"),
    [
        ("runqueue", "4.13.9", False),
        ("runqueue", "4.14.0-1-amd64", True),
        ("runqueue", "4.19.0-27-cloud-amd64", True),
        ("runqueue", "4.20.1", False),
        ("runqueue", "5.10.0-32-cloud-amd64", False),
        ("slices", "4.19.0-27-cloud-amd64", False),
    ],
)
def test_run_queues_of_kernels_that_shift_states_are_marked(
    tmp_path: Path, regime: str, kernel: str, marked: bool
) -> None:
    (tmp_path / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    told = caveats.of(regime, [tmp_path])
    assert (told is not None and ".".join(kernel.split(".")[:2]) in told) is marked


def test_of_a_recording_that_does_not_name_its_kernel_nothing_is_said(tmp_path: Path) -> None:
    assert caveats.of("runqueue", [tmp_path]) is None


def test_the_scores_say_it_where_they_are_stored_shown_and_put_together(recording: Path, tmp_path: Path) -> None:
    old = made_on(recording, tmp_path / "old", "4.19.0-27-cloud-amd64")
    told = {}
    for kind in ("fifo", "markov"):
        out = tmp_path / kind
        told[kind] = jobs.run(Job((old,), kind, 0, "task", SPLIT, out))
        assert json.loads((out / "scores.json").read_text())["caveat"] == told[kind]["caveat"]
        assert predict.scores(out, [old])["caveat"] == told[kind]["caveat"]
        assert folds.summarise(seeds.summarise([{**told[kind], "fold": "a"}]))[0]["caveat"] == told[kind]["caveat"]
    assert told["markov"]["caveat"] is None
    assert "Linux 4.19 knows some of the future" in told["fifo"]["caveat"]
    for kinds, said in ((("fifo", "markov"), 1), (("fifo", "fifo"), 1), (("markov",), 0)):
        console = Console(width=300, record=True, quiet=False, file=(tmp_path / "shown").open("w"))
        console.print(tables.scores_of([seeds.together([told[kind]]) for kind in kinds]))
        assert console.export_text().count("knows some of the future") == said
