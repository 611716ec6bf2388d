"""Runs inside the guest: rt-app until SIGINT, then one line a thread from the logs that it wrote.

    python3 rt_app_loops.py calibrate      measure this CPU, alone
    python3 rt_app_loops.py run FILE       run the threads of rt_app.json for as long as they shall

rt-app keeps a line of each loop in memory and writes them when it ends. Printed are, of a thread in the recording,
whose beginning is in FILE: its loops, how many missed the period of their timer, and the percentiles of its wakeup
latency in microseconds.
"""
# ruff: noqa: UP006, UP035  (these rules ask for syntax that Python 3.6 does not have)

import glob
import json
import signal
import subprocess
import sys
import time
from typing import Dict, List

COLUMNS = ["idx", "perf", "run", "period", "start", "end", "rel_st", "slack", "c_duration", "c_period", "wu_lat"]


def calibrate() -> int:
    """Measure how long a loop of rt-app takes here, and write that into its file; return rt-app's exit status.

    rt-app's own measurement sleeps a second between tries, and tries on until two agree within 2 %. Here, its shortest
    of a few runs decides, because others only make a run longer.
    """
    status = subprocess.call(["rt-app", "calibrate.json"])
    with open(glob.glob("calibrate-*.log")[0], encoding="utf-8") as stream:
        ratio = min(row["run"] / row["c_duration"] for row in loops(stream.read()))
    with open("rt_app.json", encoding="utf-8") as text:
        tasks = json.load(text)
    tasks["global"]["calibration"] = max(1, round(tasks["global"]["calibration"] * ratio))
    with open("rt_app.json", "w", encoding="utf-8") as text:
        json.dump(tasks, text, indent=1)
    return status


def run() -> int:
    """Run rt-app, pass SIGINT on to it, and print the lines; return its exit status."""
    process = subprocess.Popen(["rt-app", "rt_app.json"])
    signal.signal(signal.SIGINT, lambda *_: process.send_signal(signal.SIGINT))
    status = process.wait()
    with open("seconds.txt", encoding="utf-8") as text:
        seconds = float(text.read())
    since = recording_us()
    for path in sorted(glob.glob("rt_app-*.log")):
        with open(path, encoding="utf-8") as stream:
            rows = [row for row in loops(stream.read()) if since <= row["end"] <= since + seconds * 1e6]
            print(thread_line(path[len("rt_app-") : -len(".log")], rows))
    return status


def recording_us() -> float:
    """Return when the recording began, on the monotonic clock, which is that of rt-app's logs."""
    with open(sys.argv[2], encoding="ascii") as text:
        return 1e6 * (float(text.read()) - time.time() + time.monotonic())


def loops(log: str) -> List[Dict[str, int]]:
    """Return the loops of one thread's log, each by the names of the columns; a line that was cut is left out."""
    rows = [line.split() for line in log.splitlines() if not line.startswith("#")]
    complete = [row for row in rows if len(row) == len(COLUMNS)]
    return [dict(zip(COLUMNS, map(int, row))) for row in complete]  # noqa: B905


def thread_line(name: str, rows: List[Dict[str, int]]) -> str:
    """Return a thread's line; only a loop that ends with a timer has a deadline and a wakeup latency."""
    timed = [row for row in rows if row["c_period"] > 0 and row["c_duration"] > 0]
    missed = sum(row["slack"] < 0 for row in timed)
    latencies = sorted(row["wu_lat"] for row in timed) or [0]
    # The smallest value that so many percent do not exceed.
    p50, p99 = (latencies[(percent * len(latencies) + 99) // 100 - 1] for percent in (50, 99))
    span = (rows[-1]["end"] - rows[0]["start"]) if rows else 0
    counts = f"loops {len(rows)} timed {len(timed)} missed {missed} span_us {span}"
    return f"thread {name} {counts} wakeup_p50_us {p50} wakeup_p99_us {p99}"


if __name__ == "__main__":
    sys.exit(calibrate() if sys.argv[1] == "calibrate" else run())
