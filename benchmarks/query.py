"""How long a question over many trials takes: `harness query` beside a loop over the files with pandas.

    python benchmarks/query.py [--runs 20] [--trials 50] [--switches 100000] [--rounds 3] [--folder FOLDER]

The trials have two arms in turns. Their tables are made up, with the schema and writer of real ones: eight are made,
and every trial has one of them under a name of its own (a hard link), so that the disk holds eight and the page cache
serves all. Each round asks all ways the same, one after the other; the smallest value of each counts. `CPU s` is user
and system time of all threads, which a busy machine changes less than the wall clock:

    query       harness.query: open the runs, compare each table with its SHA-256, answer
    unchecked   the same without comparing
    command     the whole command `harness query`, from the start of Python to its end
    pandas      a loop: read the manifests, read one column of each table, sum it by arm
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from harness import spec
from harness.files import sha256
from harness.query import RunDatabase
from harness.store import RunFolder
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tables.writer import TableWriter

SQL = "SELECT arm, count(*) AS slices, avg(slice_ns) AS mean_ns FROM slices GROUP BY arm ORDER BY arm"
ARMS = ("nginx_ab__concurrency-2", "nginx_ab__concurrency-8")
TABLES = 8
COMMAND = "from harness.cli import main; main()"
COMMS = ("swapper/0", "ab", "nginx", "nginx", "ksoftirqd/0", "rcu_preempt", "kworker/0:1", "perf")
Answer = dict[str, tuple[int, float]]


def slices(rows: int, seed: int) -> pa.Table:
    """Return made-up slices of one CPU: eight tasks, lengths over four decades, a seventh of the picks contested."""
    draw = np.random.default_rng(seed)
    task = draw.choice(len(COMMS), size=rows, p=[0.02, 0.42, 0.3, 0.16, 0.04, 0.03, 0.02, 0.01])
    lengths = np.maximum(300, 30_000 * draw.lognormal(0, 1.2, rows)).astype(np.int64)
    starts = 5_000_000_000_000 + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    contested = draw.random(rows) < 0.14
    offsets = np.concatenate([[0], np.cumsum(1 + contested)]).astype(np.int32)
    runnable = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.repeat(task, 1 + contested).astype(np.int32)))
    waits = (3_000 * draw.lognormal(0, 1.1, rows)).astype(np.int64)
    texts = {"comm": np.array(COMMS)[task], "end_state": np.where(draw.random(rows) < 0.8, "S", "R")}
    columns = {"start_ns": starts, "slice_ns": lengths, "cpu": np.zeros(rows, np.int16), "tid": task, "prio": 120}
    columns |= {name: pa.array(values).dictionary_encode() for name, values in texts.items()}
    columns |= {"wake_ns": pa.array(starts - waits, mask=draw.random(rows) < 0.15), "runnable": runnable}
    columns |= {"contested": contested, "prio": np.full(rows, 120, np.int16)}
    schema = SCHEMAS["slices"]
    return pa.table({field.name: pa.array(columns[field.name]).cast(field.type) for field in schema}, schema=schema)


def make_runs(folder: Path, runs: int, trials: int, switches: int) -> None:
    """Make runs whose trials have a table each, listed in the manifest with its SHA-256."""
    made = []
    for number in range(TABLES):
        with TableWriter(folder / ".tables" / str(number), "slices") as writer:
            writer.add(slices(switches, number))
        made.append((writer.path, sha256(writer.path)))
    file = {"name": "made_up", "machine": {"box": "debian-12"}, "load": {"kind": "nginx_ab"}}
    for _ in range(runs):
        run = RunFolder.create(folder, spec.from_dict(file), [])
        with run.lock():
            run.update(steps={"trial:" + step["name"]: step["step"] for step in _trials(run.path, trials, made)})
            run.update(state="done", trials_planned=trials)


def _trials(run: Path, trials: int, made: list[tuple[Path, str]]) -> list[dict[str, Any]]:
    steps = []
    for number in range(trials):
        arm, (source, digest) = ARMS[number % 2], made[number % TABLES]
        name = f"{number:03d}_{arm}"
        folder = run / "trials" / name
        folder.mkdir(parents=True)
        os.link(source, folder / "slices.parquet")
        record = folder / "trial.json"
        record.write_text(json.dumps({"name": name, "arm": arm, "verdict": {"ok": True, "checks": []}}))
        files = {"slices.parquet": digest, "trial.json": sha256(record)}
        outputs = {f"trials/{name}/{file}": value for file, value in files.items()}
        step = {"state": "done", "seconds": 30.0, "outputs": outputs, "detail": {"arm": arm}, "error": None}
        steps.append({"name": name, "step": step})
    return steps


def ask(folder: Path, checked: bool) -> Answer:
    """Answer by `harness.query`."""
    with RunDatabase.open(folder, checked=checked) as database:
        rows = database.query(SQL).table().to_pylist()
        assert not database.problems
    return {row["arm"]: (row["slices"], row["mean_ns"]) for row in rows}


def ask_the_command(folder: Path) -> Answer:
    """Answer by the command, from the start of Python to its end."""
    arguments = [sys.executable, "-c", COMMAND, "query", SQL, "--runs", str(folder), "--json"]
    rows = json.loads(subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout)["rows"]
    return {row["arm"]: (row["slices"], row["mean_ns"]) for row in rows}


def ask_in_a_loop(folder: Path) -> Answer:
    """Answer as a script would: manifest by manifest, table by table, with pandas."""
    parts = []
    for path in sorted(folder.glob("*/manifest.json")):
        for name, step in json.loads(path.read_text())["steps"].items():
            table = path.parent / "trials" / name.removeprefix("trial:") / "slices.parquet"
            if step["state"] == "done" and table.exists():
                lengths = pd.read_parquet(table, columns=["slice_ns"])["slice_ns"]
                parts.append((step["detail"]["arm"], len(lengths), lengths.sum()))
    sums = pd.DataFrame(parts, columns=["arm", "slices", "ns"]).groupby("arm").sum()
    return {str(arm): (int(row["slices"]), row["ns"] / row["slices"]) for arm, row in sums.iterrows()}


def measure(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the smallest wall and CPU seconds of each way; all have to give the same answer."""
    ways: dict[str, Callable[[], Answer]] = {
        "query": lambda: ask(folder, True),
        "unchecked": lambda: ask(folder, False),
        "command": lambda: ask_the_command(folder),
        "pandas": lambda: ask_in_a_loop(folder),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        answers = []
        for name, way in ways.items():
            wall, cpu = time.monotonic(), cpu_s()
            answers.append({arm: (rows, round(mean, 3)) for arm, (rows, mean) in way().items()})
            times[name].append((time.monotonic() - wall, cpu_s() - cpu))
        assert all(answer == answers[0] for answer in answers), answers
    return {name: (min(wall for wall, _ in pairs), min(cpu for _, cpu in pairs)) for name, pairs in times.items()}


def cpu_s() -> float:
    """Return the CPU seconds of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    """Make the runs, ask in every way, and print the times and their ratio to pandas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--runs", 20), ("--trials", 50), ("--switches", 100_000), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--folder", type=Path, help="where the runs are made; default: a temporary folder")
    chosen = parser.parse_args()
    with nullcontext(chosen.folder) if chosen.folder else tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder), chosen.runs, chosen.trials, chosen.switches)
        times = measure(Path(folder), chosen.rounds)
    print(f"{chosen.runs * chosen.trials:,} trials of {chosen.switches:,} slices; {os.cpu_count()} CPUs")
    table = Table(box=None, pad_edge=False)
    for heading in ("way", "wall s", "CPU s", "pandas / it, wall", "CPU"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, pair in times.items():
        ratios = (f"{slow / quick:.1f}" for slow, quick in zip(times["pandas"], pair, strict=True))
        table.add_row(name, *(f"{seconds:.2f}" for seconds in pair), *ratios)
    Console().print(table)


if __name__ == "__main__":
    main()
