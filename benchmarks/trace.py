"""Measures how fast a recording becomes tables, compared with two methods that parse the text that perf prints.

    python benchmarks/trace.py [recording] [--samples N] [--rounds N]

Without a recording, one of at least `--samples` samples (a million) is made with `perf bench sched messaging`, as root,
in a temporary folder. Each method runs in its own process, imports included, once in each of `--rounds` rounds, so
that all of them meet the same load of the machine; the fastest run counts. `CPU s` is the time that the process and its
children used, which a busy machine changes less than the wall clock. `warm` rows are the fastest of repeated runs in
one process, without imports. The last two columns give the CPU time of the two text methods, divided by that of the
row. The last lines compare `read` with a bare interpreter: the cost of a script's first recording.

A second table has the commands `harness trace summary` and `convert` beside `perf sched timehist --summary` and `perf
script`, all with their output to /dev/null. `x perf`: how many times as fast as perf they are, by the wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.trace.reader import read

COMMON = """
import json, resource, sys, time
path = sys.argv[1]
def print_result(rows, **extra):
    used = [resource.getrusage(scope) for scope in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    extra.setdefault("cpu_s", sum(usage.ru_utime + usage.ru_stime for usage in used))
    print(json.dumps({"rows": rows, "peak_mb": int(status["VmHWM"].split()[0]) / 1024, **extra}))
def fastest(work, times):
    spent = []
    for _ in range(times):
        started = time.process_time()
        result = work()
        spent.append(time.process_time() - started)
    return min(spent), result
"""

SCRIPT_REGEX = r"""
import re, subprocess
head = re.compile(r"\[(\d+)\] +(\d+)\.(\d+): +sched:sched_(\w+): (.*)")
task = r"comm=(.*) pid=(\d+) prio=(\d+)"
events = {
    "switch": re.compile(r"prev_comm=(.*) prev_pid=(\d+) prev_prio=(\d+) prev_state=(\S+) ==> "
                         r"next_comm=(.*) next_pid=(\d+) next_prio=(\d+)"),
    "waking": re.compile(task + r" target_cpu=(\d+)"),
    "wakeup_new": re.compile(task + r" target_cpu=(\d+)"),
    "migrate_task": re.compile(task + r" orig_cpu=(\d+) dest_cpu=(\d+)"),
    "stat_runtime": re.compile(r"comm=(.*) pid=(\d+) runtime=(\d+)"),
    "process_fork": re.compile(r"comm=(.*) pid=(\d+) child_comm=(.*) child_pid=(\d+)"),
}
tables = {name: [] for name in events}
command = ["perf", "script", "-i", path, "--ns", "-F", "cpu,time,event,trace"]
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as perf:
    for line in perf.stdout:
        match = head.search(line)
        if match and (row := events[match[4]].match(match[5])):
            tables[match[4]].append((int(match[2]) * 10**9 + int(match[3]), int(match[1]), *row.groups()))
print_result(len(tables["switch"]))
"""

MAP_LOOP = r"""
import subprocess
rows, names = [], {}
command = ["perf", "sched", "map", "-i", path]
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as perf:
    for line in perf.stdout:
        columns, separator, tail = line.partition(" secs ")
        if not separator:
            continue
        words = columns.split()
        tag = next((word[1:] for word in words if word[0] == "*"), None)
        if "=>" in tail:
            key, _, name = tail.partition(" => ")
            names[key.strip()] = name.strip()
        rows.append((float(words[-1]), names.get(tag, tag)))
print_result(len(rows))
"""

READ = """
from harness.trace.reader import read
print_result(read(path).quality.samples)
"""

READ_SWITCHES = """
from harness.trace.reader import read
print_result(read(path).switches.num_rows)
"""

READ_TABLES = """
from harness.trace.reader import read
trace = read(path)
print_result(sum(table.num_rows for table in (trace.switches, trace.wakeups, trace.runtimes, trace.migrations)))
"""

WARM = """
from harness.trace.reader import read
def work():
    trace = read(path)
    return trace.quality.samples, trace.switches, trace.wakeups, trace.runtimes, trace.migrations
work()
cpu_s, result = fastest(work, 5)
print_result(result[0], cpu_s=cpu_s, samples=result[0])
"""

SLICES = """
from harness.trace.reader import read
from harness.trace.runqueue.slicer import slices
trace = read(path)
cpu_s, table = fastest(lambda: slices(trace), 3)
print_result(table.num_rows, cpu_s=cpu_s)
"""

REGEX, MAP, READ_WARM = "perf script + regex", "perf sched map + loop (switches only)", "read to Arrow tables, warm"
READ_NAME = "read"
METHODS = {
    REGEX: SCRIPT_REGEX,
    MAP: MAP_LOOP,
    READ_NAME: READ,
    "read, switches as an Arrow table": READ_SWITCHES,
    "read, all as Arrow tables": READ_TABLES,
    READ_WARM: WARM,
    "slices, warm": SLICES,
}
SIDE_BY_SIDE = [
    (["trace", "summary", "{path}"], ["perf", "sched", "timehist", "--summary", "-i", "{path}"]),
    (["trace", "convert", "{path}", "-o", "{folder}", "--quiet"], ["perf", "script", "-i", "{path}"]),
]
HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
BARE = "pass"
START = "import harness.trace; harness.trace.read({!r})"


def run(code: str, recording: Path) -> dict[str, float]:
    """Run `code` once, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMON + code, str(recording)],
        capture_output=True, check=True, text=True, env=environment, timeout=1800,
    )  # fmt: skip
    return {"wall_s": time.perf_counter() - started, **json.loads(done.stdout)}


def measure(recording: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the fastest run of every method."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, code in METHODS.items():
            result = run(code, recording)
            best[name] = min(result, best.get(name, result), key=lambda run: run["cpu_s"])
    return best


def run_command(command: list[str], recording: Path) -> dict[str, float]:
    """Run a command once, without what it prints. A recording that is not whole ends it with 1."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        words = [word.format(path=recording, folder=folder) for word in command]
        started = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"`{' '.join(words)}` failed")
    return {"wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}


def compare_commands(recording: Path, rounds: int, console: Console) -> None:
    """Run the commands of harness and of perf in turn, and print the fastest run of each."""
    table = Table()
    table.add_column("command")
    for name in ("wall s", "CPU s", "peak MB", "x perf"):
        table.add_column(name, justify="right")
    for ours, theirs in SIDE_BY_SIDE:
        pairs = [(run_command(HARNESS + ours, recording), run_command(theirs, recording)) for _ in range(rounds)]
        fastest = [min(runs, key=lambda run: run["wall_s"]) for runs in zip(*pairs, strict=True)]
        for words, result in zip((["harness", *ours[:2]], theirs[:-2]), fastest, strict=True):
            ratio = f"{fastest[1]['wall_s'] / result['wall_s']:.1f}"
            numbers = f"{result['wall_s']:.2f}", f"{result['cpu_s']:.2f}", f"{result['peak_mb']:.0f}", ratio
            table.add_row(" ".join(words), *numbers)
    console.print(table)


def cpu_s(code: str, rounds: int) -> tuple[float, float]:
    """Return the least and the median user and system time of whole processes that run `code`."""
    spent = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True, timeout=1800)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent), statistics.median(spent)


def record(folder: Path, samples: int) -> Path:
    """A recording of at least `samples` samples."""
    target, loops = folder / "perf.data", max(samples * 6 // 1000, 100)
    while True:
        load = ["perf", "bench", "sched", "messaging", "-g", "5", "-l", str(loops), "-p"]
        done = subprocess.run(
            ["perf", "sched", "record", "-m", "8M", "-o", str(target), "--", *load],
            capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
        if not target.exists():
            raise SystemExit(f"perf made no recording: {done.stderr}")
        recorded = read(target).quality.samples
        if recorded >= samples:
            return target
        loops = loops * samples * 11 // (max(recorded, samples // 10) * 10)


def report(recording: Path, rounds: int, console: Console) -> None:
    """Measure every method and print a table."""
    best = measure(recording, rounds)
    samples, size = best[READ_WARM]["samples"], recording.stat().st_size / 1e6
    title = f"{samples:,.0f} samples, {size:.0f} MB, {os.cpu_count()} CPUs, fastest of {rounds}"
    table = Table(title=title, title_justify="left")
    table.add_column("method")
    for name in ("CPU s", "wall s", "peak MB", "x script", "x map"):
        table.add_column(name, justify="right")
    for name, result in best.items():
        wall = "" if "warm" in name else f"{result['wall_s']:.2f}"
        times = [f"{best[other]['cpu_s'] / result['cpu_s']:.1f}" for other in (REGEX, MAP)]
        table.add_row(name, f"{result['cpu_s']:.3f}", wall, f"{result['peak_mb']:.0f}", *times)
    console.print(table)
    console.print(f"warm: {samples / best[READ_WARM]['cpu_s'] / 1e6:.1f} M samples a second and core")
    script, text_map = (best[other]["cpu_s"] / best[READ_NAME]["cpu_s"] for other in (REGEX, MAP))
    console.print(f"read: {script:.1f} times as fast as {REGEX}, {text_map:.1f} times as fast as {MAP}")
    compare_commands(recording, rounds, console)
    bare, start = cpu_s(BARE, 5 * rounds), cpu_s(START.format(str(recording.resolve())), 5 * rounds)
    for code, (least, median) in ((BARE, bare), (START.format("f"), start)):
        console.print(f'python -c "{code}": {least:.3f} CPU s, median {median:.3f}')
    console.print(f"difference: {start[0] - bare[0]:.3f} CPU s, of the medians {start[1] - bare[1]:.3f}")


def main() -> None:
    """Measure the recording that is named, or one made now."""
    arguments = argparse.ArgumentParser(description="how fast a recording becomes tables")
    arguments.add_argument("recording", type=Path, nargs="?")
    arguments.add_argument("--samples", type=int, default=1_000_000, help="at least so many, where one is made")
    arguments.add_argument("--rounds", type=int, default=3)
    options, console = arguments.parse_args(), Console(width=100)
    if options.recording:
        report(options.recording, options.rounds, console)
        return
    with tempfile.TemporaryDirectory() as folder:
        report(record(Path(folder), options.samples), options.rounds, console)


if __name__ == "__main__":
    main()
