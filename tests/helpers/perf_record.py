"""Makes real recordings of a load with hostile task names.

`PYTHONPATH=tests/helpers:. python tests/helpers/perf_record.py tests/data` makes those anew that are kept (see KEPT).
A test that makes a recording may only assert what holds for any recording: the host decides what else is in it.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import waiting
from shorten import shortened_pipe

import harness.trace
from harness.errors import TraceError

BUSY = Path(__file__).with_name("busy.py")
MORE_EVENTS = ("-e", "sched:sched_process_exec", "-e", "sched:sched_process_exit", "-e", "sched:sched_wakeup")
LIMIT_S = 240
ENDLESS = 1_000_000_000  # rounds


def record(target: Path, *options: str, rounds: int = 20) -> Path:
    """Record `busy.py` with `perf sched record`, from the folder of `target`."""
    return _run(target, target.name, options, rounds, subprocess.DEVNULL)


def record_to_pipe(target: Path, *options: str, rounds: int = 20) -> Path:
    """Record as `record` does, through a pipe: perf writes less about the machine there."""
    with target.open("wb") as out:
        return _run(target, "-", options, rounds, out)


def record_killed(target: Path, formats_from: Path) -> Path:
    """A recording whose recorder was killed while it recorded, with more than a thousand switches in it.

    Before the first switch perf notes every task of the machine, so the size of the file does not tell how far it is.
    """
    command = ["perf", "sched", "record", "-m", "8", "-o", target.name, "--", sys.executable, str(BUSY), str(ENDLESS)]
    recorder = subprocess.Popen(command, cwd=target.parent, stderr=subprocess.DEVNULL, start_new_session=True)

    def has_switches() -> bool:
        with contextlib.suppress(TraceError):  # the header is not there yet
            return harness.trace.read(target, formats_from=formats_from).switches.num_rows > 1_000
        return False

    try:
        waiting.until(has_switches)
    finally:
        os.killpg(recorder.pid, signal.SIGKILL)
        recorder.wait(timeout=LIMIT_S)
    return target


def record_overrun(target: Path) -> Path:
    """Make a recording that lost events: one page of buffer per CPU fills faster than perf empties it."""
    load = ["perf", "bench", "sched", "messaging", "-g", "2", "-l", "30", "-p"]
    command = ["perf", "sched", "record", "-m", "1", "-o", target.name, "--", *load]
    subprocess.run(command, cwd=target.parent, capture_output=True, check=True, timeout=LIMIT_S)
    return target


def _run(target: Path, output: str, options: tuple[str, ...], rounds: int, stdout: int | IO[bytes]) -> Path:
    load = ["--", sys.executable, str(BUSY), str(rounds)]
    done = subprocess.run(
        ["perf", "sched", "record", "-o", output, *options, *load],
        cwd=target.parent,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=LIMIT_S,
    )
    recorded = target.is_dir() or (target.exists() and target.stat().st_size > 0)
    assert recorded, f"perf made no recording (these tests need root and perf): {done.stderr.decode(errors='replace')}"
    return target


KEPT: dict[str, Callable[[Path], bytes]] = {
    # all CPUs, hostile names, migrations, forks, execs and exits
    "hostile_names": lambda path: record(path, *MORE_EVENTS).read_bytes(),
    # compressed records, with callchains and every event
    "compressed": lambda path: record(path, "-z", "-g", *MORE_EVENTS, rounds=1).read_bytes(),
    # the beginning of the output of a pipe
    "from_a_pipe": lambda path: bytes(shortened_pipe(record_to_pipe(path, rounds=1).read_bytes())),
    "lost_events": lambda path: record_overrun(path).read_bytes(),
}


def main(folder: Path) -> None:
    """Make every kept recording anew, under the name by which `kept` finds it."""
    for name, make in KEPT.items():
        with tempfile.TemporaryDirectory() as temporary:
            content = make(Path(temporary) / "perf.data")
        (folder / f"{name}.perf.data.xz").write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
