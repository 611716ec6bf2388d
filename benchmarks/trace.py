"""How fast a recording becomes tables, beside the two ways that go through perf's text.

    python benchmarks/trace.py [recording]

Without a recording one of at least a million samples is made with `perf bench sched messaging` (as root, in a
temporary folder). Every way runs in a process of its own, imports included, several times, and the fastest counts.
`CPU s` is what the process and its children used, so that a busy machine blurs it less than `wall s`; `warm` is a
read in a process that has read before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.trace.reader import read

SAMPLES = 1_000_000
ROUNDS = 3

COMMON = """
import json, resource, sys, time
path = sys.argv[1]
def told(rows, **more):
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    more.setdefault("cpu_s", sum(one.ru_utime + one.ru_stime for one in used))
    print(json.dumps({"rows": rows, "peak_mb": int(status["VmHWM"].split()[0]) / 1024, **more}))
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
        found = head.search(line)
        if found and (row := events[found[4]].match(found[5])):
            tables[found[4]].append((int(found[2]) * 10**9 + int(found[3]), int(found[1]), *row.groups()))
told(len(tables["switch"]))
"""

MAP_LOOP = r"""
import subprocess
rows, names = [], {}
command = ["perf", "sched", "map", "-i", path]
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as perf:
    for line in perf.stdout:
        columns, found, tail = line.partition(" secs ")
        if not found:
            continue
        words = columns.split()
        tag = next((word[1:] for word in words if word[0] == "*"), None)
        if "=>" in tail:
            key, _, name = tail.partition(" => ")
            names[key.strip()] = name.strip()
        rows.append((float(words[-1]), names.get(tag, tag)))
told(len(rows))
"""

READ = """
from harness.trace.reader import read
told(read(path).switches.num_rows)
"""

WARM = """
from harness.trace.reader import read
read(path)
cpu_s, trace = fastest(lambda: read(path), 5)
told(trace.switches.num_rows, cpu_s=cpu_s, samples=trace.quality.samples)
"""

SLICES = """
from harness.trace.reader import read
from harness.trace.slicing import slices
trace = read(path)
cpu_s, table = fastest(lambda: slices(trace), 3)
told(table.num_rows, cpu_s=cpu_s)
"""

CONVERT = """
import tempfile
from harness.trace.convert import convert
with tempfile.TemporaryDirectory() as folder:
    told(convert(path, folder).rows["switches"])
"""

WAYS = {
    "perf script + regex": SCRIPT_REGEX,
    "perf sched map + loop (switches only)": MAP_LOOP,
    "read": READ,
    "read, warm": WARM,
    "slices, warm": SLICES,
    "convert to Parquet, with slices": CONVERT,
}


def measure(code: str, recording: Path) -> dict[str, float]:
    """The fastest of some runs of `code` as a program of its own."""
    runs = []
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    for _ in range(ROUNDS):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COMMON + code, str(recording)],
            capture_output=True, check=True, text=True, env=environment, timeout=900,
        )  # fmt: skip
        runs.append({"wall_s": time.perf_counter() - started, **json.loads(done.stdout)})
    return min(runs, key=lambda run: run["cpu_s"])


def record(folder: Path) -> Path:
    """A recording of at least SAMPLES samples."""
    target, loops = folder / "perf.data", 6000
    while True:
        load = ["perf", "bench", "sched", "messaging", "-g", "5", "-l", str(loops), "-p"]
        done = subprocess.run(
            ["perf", "sched", "record", "-m", "8M", "-o", str(target), "--", *load],
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        if not target.exists():
            raise SystemExit(f"perf made no recording: {done.stderr}")
        if read(target).quality.samples >= SAMPLES:
            return target
        loops *= 2


def report(recording: Path, console: Console) -> None:
    """Measure every way and print a table."""
    found = {name: measure(code, recording) for name, code in WAYS.items()}
    samples, size = found["read, warm"]["samples"], recording.stat().st_size / 1e6
    table = Table(title=f"{samples:,.0f} samples, {size:.0f} MB, {os.cpu_count()} CPUs", title_justify="left")
    for name in ("way", "CPU s", "wall s", "CPU s / read's", "peak MB"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, run in found.items():
        wall = "" if "warm" in name else f"{run['wall_s']:.2f}"
        ratio = f"{run['cpu_s'] / found['read']['cpu_s']:.1f}"
        table.add_row(name, f"{run['cpu_s']:.2f}", wall, ratio, f"{run['peak_mb']:.0f}")
    console.print(table)
    warm = found["read, warm"]["cpu_s"]
    console.print(f"warm: {samples / warm / 1e6:.1f} M samples a second and core")


def main() -> None:
    """Measure the recording that is named, or one made now."""
    console = Console(width=100)
    if len(sys.argv) > 1:
        report(Path(sys.argv[1]), console)
        return
    with tempfile.TemporaryDirectory() as folder:
        report(record(Path(folder)), console)


if __name__ == "__main__":
    main()
