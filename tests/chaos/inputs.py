"""The kinds of file that somebody hands to the program: a whole one of each, how it is damaged, and how it is read.

A damaged file is read as another whole one, or refused with one of the project's own errors. All else is a problem:
an exception that is none of them, a process that dies, one that takes too long.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import forged_answers
import synthetic_run
import zstandard
from boxes_on_disk import forge_box
from damage import damage_bytes, damage_json, damage_text
from fake_host import RESULT, FakeHost
from kept import unpacked
from locations import DATA, EXPERIMENTS

from harness import boxes, report, spec, trace
from harness.boxes import description, lock_file
from harness.boxes.pins import Pin, Pins
from harness.errors import StoreError, TrialError
from harness.files import sha256
from harness.report import run_rows
from harness.store import RunFolder
from harness.store.trial_record import read_scores, read_trial
from harness.terminal import run_table, tables
from harness.trace.text.importer import import_text
from model import checkpoint, jobs, predict
from model.data import streams, synthetic
from model.jobs import Job

Damage = Callable[[bytes, random.Random], bytes]
Reader = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """`share` is how many of a million inputs are of this kind; `prepare` fills a folder and returns the file."""

    name: str
    share: int
    prepare: Callable[[Path], Path]
    damage: Damage
    read: Reader
    must_notice: bool = False  # whether a changed file that is read counts as believed


def _recording(folder: Path) -> Path:
    return _write(folder / "perf.data", unpacked("one_process"))


def _compressed_records(folder: Path) -> Path:
    return _write(folder / "perf.data", unpacked("compressed"))


def _compressed(folder: Path) -> Path:
    return _write(folder / "perf.data.zst", zstandard.compress(unpacked("switches_only")))


def _script_text(folder: Path) -> Path:
    return _lines(folder, "lost_events.script.txt", 400)


def _map_text(folder: Path) -> Path:
    return _lines(folder, "compact.map.txt", 60)


def _lines(folder: Path, name: str, count: int) -> Path:
    whole = (DATA / "texts" / name).read_bytes()
    return _write(folder / "text.txt", b"".join(whole.splitlines(keepends=True)[:count]))


def _experiment(folder: Path) -> Path:
    return _write(folder / "x.yaml", (EXPERIMENTS / "nginx_ab.yaml").read_bytes())


def _run(folder: Path) -> Path:
    """Make a finished run whose manifest has the hashes of its files."""
    run = synthetic_run.make_run(folder / "run", 400)
    listed = [path for part in ("trials", "models") for path in sorted((run / part).rglob("*")) if path.is_file()]
    outputs = {path.relative_to(run).as_posix(): sha256(path) for path in listed}
    step = {"state": "done", "seconds": 1.0, "outputs": outputs, "detail": {}, "error": None}
    synthetic_run.write_manifest(run, steps={"trial:000_nginx_ab": step}, state="done")
    return run


def _manifest(folder: Path) -> Path:
    return _run(folder) / "manifest.json"


def _trial(folder: Path) -> Path:
    return _run(folder) / "trials" / "000_nginx_ab" / "trial.json"


def _scores(folder: Path) -> Path:
    return _run(folder) / "models" / "markov_s0" / "scores.json"


def _answer(folder: Path) -> Path:
    real = {**json.loads(RESULT.read_bytes()), "sha256": FakeHost().digests}
    return _write(folder / "answer.json", json.dumps(real).encode())


def _box(folder: Path) -> Path:
    return forge_box(folder / "boxes").folder / "box.json"


def _lock(folder: Path) -> Path:
    recipe = boxes.recipe("debian-12")
    pinned = tuple(sorted(Pin(name, "1.0-1", "amd64", "a" * 64) for name in recipe.all_packages()))
    (folder / "pins").write_text(Pins(pinned, (Pin("nginx", "1.22", "all", "b" * 64),)).text(), encoding="utf-8")
    return _write(folder / "debian-12.lock", lock_file.make(recipe, folder, 1.8e9).text().encode())


def _table(folder: Path) -> Path:
    synthetic.write(folder / "tables", synthetic.Source(4, 1), 600)
    return folder / "tables" / "slices.parquet"


def _model(folder: Path) -> Path:
    table = _table(folder)
    jobs.run(Job((table.parent,), "markov", 0, "task", (0.7, 0.15, 0.15), folder / "model"))
    return folder / "model"


def _config(folder: Path) -> Path:
    return _model(folder) / "config.json"


def _weights(folder: Path) -> Path:
    return _model(folder) / "weights.safetensors"


def _slices_of_run(folder: Path) -> Path:
    return _trial(folder).parent / "slices.parquet"


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _read_lock(path: Path) -> object:
    return lock_file.read(path, boxes.recipe("debian-12"))


def _read_run(path: Path) -> object:
    """Do what `ls` and `show` do with a run."""
    folder = RunFolder.open(path.parent)
    return (
        run_rows.run_row(folder),
        run_table.runs_table([run_rows.run_row(folder)], ""),
        list(tables.run_tables(folder)),
    )


def _read_report(path: Path) -> object:
    """Write the report of a run in which a file was changed, and its hash with it."""
    run = path.parent.parent.parent
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    for step in manifest["steps"].values():
        step["outputs"] |= {path.relative_to(run).as_posix(): sha256(path)}
    (run / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return report.build(run)


def _notice(path: Path) -> object:
    """Do what `verify` does; a changed file that it does not name is believed."""
    if problems := RunFolder.open(path.parent.parent.parent).verify():
        raise StoreError("; ".join(map(str, problems)))
    return None


def _read_weights(path: Path) -> object:
    """Load weights whose hash is the right one, as one who means harm would make it."""
    config = path.parent / "config.json"
    known = json.loads(config.read_text())
    config.write_text(json.dumps({**known, "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}))
    return predict.scores(path.parent, [path.parent.parent / "tables"])


def _read_answer(path: Path) -> object:
    """Carry out a trial whose guest leaves this as its result."""
    shutil.rmtree(path.parent / "trials", ignore_errors=True)
    outcome = forged_answers.carry_out(path.read_bytes(), path.parent / "trials" / "000_nginx_ab")
    if outcome.state == forged_answers.REFUSED:
        raise TrialError(outcome.message)
    return outcome


def _import(path: Path) -> object:
    return import_text(path, path.parent / "out")


def _score_table(path: Path) -> object:
    return streams.load([path.parent], "task", (0.7, 0.15, 0.15))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("perf.data", 100_000, _recording, damage_bytes, trace.read),
        Kind("perf.data of compressed records", 5_000, _compressed_records, damage_bytes, trace.summarize),
        Kind("perf.data.zst", 60_000, _compressed, damage_bytes, trace.read),
        Kind("text of perf script", 10_000, _script_text, damage_text, _import),
        Kind("text of perf sched map", 20_000, _map_text, damage_text, _import),
        Kind("experiment file", 20_000, _experiment, damage_text, spec.load),
        Kind("manifest.json", 40_000, _manifest, damage_json, _read_run),
        Kind("trial.json", 220_000, _trial, damage_json, lambda path: read_trial(path.parent)),
        Kind("scores.json", 200_000, _scores, damage_json, lambda path: read_scores(path.parent)),
        Kind("trial.json in a report", 500, _trial, damage_json, _read_report),
        Kind("scores.json in a report", 500, _scores, damage_json, _read_report),
        Kind("answer of a guest", 10_000, _answer, damage_json, _read_answer),
        Kind("box.json", 160_000, _box, damage_json, lambda path: description.read(path.parent)),
        Kind("lock of a box", 20_000, _lock, damage_text, _read_lock),
        Kind("slices.parquet", 60_000, _table, damage_bytes, _score_table),
        Kind("config.json of a model", 60_000, _config, damage_json, lambda path: checkpoint.load(path.parent)),
        Kind("weights of a model", 4_000, _weights, damage_bytes, _read_weights),
        Kind("a file of a run, verified", 10_000, _slices_of_run, damage_bytes, _notice, must_notice=True),
    )
}
