"""Kills commands of `harness` at random moments, and looks at what they leave behind.

    PYTHONPATH=tests/helpers:. python tests/chaos/kills.py [--kills 200] [--seed 0] [--command NAME ...]

Each kill has a cache, a state, a folder for temporary files, a home and a working folder of its own. After it, no
process may live on. The same command then runs to its end, and afterwards there must be exactly the files that the
command leaves when nobody kills it. After SIGINT and SIGTERM there must be no temporary file even before that.
"""

from __future__ import annotations

import argparse
import lzma
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from boxes_on_disk import forge_box
from command_line import HARNESS, LIMIT_S
from kept import unpacked
from locations import DATA, ROOT
from shorten import shortened
from written_before import RUN, TRIAL, unpack

from harness import boxes
from harness.boxes import cache
from harness.guardian import processes_with

RECORDS = 4_000
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)  # half of the kills are SIGKILL
ENDED_BY_SIGNAL = {signal.SIGKILL: (-9,), signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}
TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
FOLDERS = ("work", "cache", "state", "tmp", "home")
_CHANGING = re.compile(r"\d{4}-\d\d-\d\dT[\d-]+")  # the times in names

PROGRAMS = {  # in place of those of this host: nothing is asked of its libvirt and its Vagrant, and no box is built
    "virsh": "exit 1",
    "vagrant": "exit 1",
    "mmdebstrap": 'sleep 600 >/dev/null 2>&1 & (trap "" TERM; sleep 600) >/dev/null 2>&1 &'
    ' touch "$TMPDIR/root"; sleep 1; exit 1',
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "convert": ("trace", "convert", "short.data", "-o", "out"),
    "convert packed": ("trace", "convert", "short.data.xz", "-o", "out"),
    "summary": ("trace", "summary", "short.data.xz"),
    "export perfetto": ("trace", "export", "short.data", "--to", "perfetto", "-o", "out.json.gz"),
    "export csv": ("trace", "export", "short.data", "--to", "csv", "-o", "out"),
    "export parquet": ("trace", "export", "short.data.xz", "--to", "parquet", "-o", "out"),
    "export map": ("trace", "export", "short.data", "--to", "perf-sched-map", "-o", "out.txt"),
    "import": ("trace", "import", "perf.txt", "-o", "out"),
    "train": ("train", TRIAL, "-p", "markov", "-p", "gru", "--set", "gru.max_epochs=2", "-o", "out"),
    "evaluate": ("evaluate", TRIAL, "-p", "markov", "-p", "gru", "--set", "gru.max_epochs=2"),
    "evaluate a table": ("evaluate", TRIAL, "-p", "markov"),
    "evaluate a model": ("evaluate", TRIAL, "--model", f"{RUN}/models/markov_s0"),
    "predict": ("predict", TRIAL, "--model", f"{RUN}/models/markov_s0"),
    "model export": ("model", "export", f"{RUN}/models/markov_s0", "-o", "out"),
    "model compare": ("model", "compare", f"{RUN}/models", "markov", "lstm"),
    "report": ("report", RUN),
    "show": ("show", RUN),
    "ls": ("ls",),
    "verify": ("verify", RUN),
    "repeat": ("repeat", RUN, "--with", "runs/other"),
    "down": ("down",),
    "box ls": ("box", "ls"),
    "box build": ("box", "build", "debian-11"),
    "box verify": ("box", "verify", "debian-12"),
    "box export": ("box", "export", "debian-12", "box.tar"),
    "box rm": ("box", "rm", "debian-13"),
    "box import": ("box", "import", "exported.tar"),
    "box prune": ("box", "prune", "--all"),
    "doctor": ("doctor",),
    "schema": ("schema",),
}
MOVED_ON = {"box rm", "box prune"}  # what was done before the kill is not done again, so the second run may fail


@dataclass
class Outcome:
    """What one kill left: `problems` has one sentence for each thing that must not be."""

    command: str
    seed: int
    signal: signal.Signals
    delay_s: float
    exit_code: int = 0
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def in_time(self) -> bool:
        """Whether the signal came before the command had ended."""
        return self.exit_code in ENDED_BY_SIGNAL[self.signal]

    def __str__(self) -> str:
        what = f"{self.command:17} {self.seed:5} {self.signal.name:7} {self.delay_s:6.2f} s  exit {self.exit_code:4}"
        return f"{what}  {len(self.left)} left{''.join(f'{chr(10)}    {one}' for one in self.problems)}"


class Kills:
    """Inputs for all commands, made once in `folder`, and what each command leaves when nobody kills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._undisturbed: dict[str, tuple[int, float, set[str]]] = {}
        for name in FOLDERS:
            (folder / "inputs" / name).mkdir(parents=True)
        _make_inputs(folder / "inputs")

    def kill_once(self, command: str, seed: int) -> Outcome:
        """Run a command, kill it, run it again to its end, and compare. The seed decides signal and moment."""
        code, seconds, expected = self._undisturbed_run(command)
        draw = random.Random(f"{command} {seed}")
        outcome = Outcome(command, seed, draw.choice(SIGNALS), draw.uniform(0, seconds))
        with self._place() as place:
            self._kill(place, outcome)
            outcome.left = sorted(path for path in _files(place) if TEMPORARY.search(path))
            if outcome.left and outcome.signal != signal.SIGKILL:
                outcome.problems.append(f"left after {outcome.signal.name}: {', '.join(outcome.left)}")
            again = _start(place, command)
            errors = again.communicate(timeout=LIMIT_S)[1]
            if again.returncode != code and command not in MOVED_ON:
                outcome.problems.append(f"the second run exits with {again.returncode} instead of {code}: {errors}")
            _compare(_files(place), expected, outcome)
        return outcome

    def _undisturbed_run(self, command: str) -> tuple[int, float, set[str]]:
        """Return exit code, seconds and files of a command that nobody kills."""
        if command not in self._undisturbed:
            with self._place() as place:
                started = time.monotonic()
                run = _start(place, command)
                run.communicate(timeout=LIMIT_S)
                self._undisturbed[command] = run.returncode, time.monotonic() - started, _files(place)
        return self._undisturbed[command]

    @contextmanager
    def _place(self) -> Iterator[Path]:
        place = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(self.folder / "inputs", place, dirs_exist_ok=True)
        yield place
        shutil.rmtree(place)

    def _kill(self, place: Path, outcome: Outcome) -> None:
        killed = _start(place, outcome.command)
        try:
            killed.wait(timeout=outcome.delay_s)
        except subprocess.TimeoutExpired:
            killed.send_signal(outcome.signal)
        errors = killed.communicate(timeout=LIMIT_S)[1]
        outcome.exit_code = killed.returncode
        said = outcome.signal != signal.SIGKILL  # after that one, workers that were about to start say so
        if said and not _only_python_had_started(errors) and ("Traceback" in errors or "Exception ignored" in errors):
            outcome.problems.append(f"it printed:\n{errors}")
        for crash in sorted((place / "state" / "crashes").glob("*")):
            outcome.problems.append(f"it took the signal for a defect:\n{crash.read_text()}")
        if living := _living(place):
            outcome.problems.append(f"processes live on: {living}")


def _make_inputs(inputs: Path) -> None:
    work = inputs / "work"
    unpack(work)
    shutil.copytree(work / RUN, work / "runs" / "other")
    whole = unpacked("debian12_guest_nginx_ab")
    short = shortened(whole, RECORDS)
    (work / "short.data").write_bytes(short)
    (work / "short.data.xz").write_bytes(lzma.compress(short))
    shutil.copy(DATA / "texts" / "windows.map.txt", work / "perf.txt")
    os.environ["HARNESS_CACHE"] = str(inputs / "cache")
    for name in ("debian-11", "debian-12", "debian-13"):
        box = forge_box(inputs / "cache" / "boxes", name)
        cache.write_manifest(box.folder, box, made_from=cache.inputs(boxes.recipe(name), None))
    programs = inputs / "home" / "bin"
    programs.mkdir()
    for name, script in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    for arguments in (("export", "debian-11", "exported.tar"), ("rm", "debian-11")):
        subprocess.run([*HARNESS, "box", *arguments], cwd=work, env=_environment(inputs), check=True)


def _environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HARNESS_CACHE": str(place / "cache"),
        "HARNESS_STATE": str(place / "state"),
        "TMPDIR": str(place / "tmp"),
        "HOME": str(place / "home"),
        "VAGRANT_HOME": str(place / "home" / "vagrant"),
        "PATH": f"{place / 'home' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "CHAOS_PLACE": str(place),
    }


def _start(place: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["env", "--default-signal=INT", *HARNESS, *COMMANDS[command]],  # what a shell runs in the background ignores it
        cwd=place / "work",
        env=_environment(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _only_python_had_started(errors: str) -> bool:
    """Whether Ctrl-C came before the first line of the command, where Python itself prints a traceback."""
    ours = set(re.findall(rf'File "{re.escape(str(ROOT))}/((?:harness|model)/.+?)"', errors))
    return errors.rstrip().endswith("KeyboardInterrupt") and ours <= {"harness/__init__.py", "harness/cli/__init__.py"}


def _living(place: Path) -> list[str]:
    """Return the processes of a killed command that do not end."""
    end = time.monotonic() + 60
    while pids := processes_with(f"CHAOS_PLACE={place}"):
        if time.monotonic() > end:
            return [f"{pid} {Path(f'/proc/{pid}/cmdline').read_text()!r}" for pid in pids]
        time.sleep(0.05)
    return []


def _files(place: Path) -> set[str]:
    """Return the files and the empty folders, without the times in names and without those of locks."""
    paths = [path for name in FOLDERS for path in (place / name).rglob("*")]
    return {
        _CHANGING.sub("TIME", path.relative_to(place).as_posix())
        for path in paths
        if not path.name.endswith(".lock") and (not path.is_dir() or not any(path.iterdir()))
    }


def _compare(actual: set[str], expected: set[str], outcome: Outcome) -> None:
    if more := sorted(actual - expected):
        outcome.problems.append(f"still there after the next run: {', '.join(more)}")
    if missing := sorted(expected - actual):
        outcome.problems.append(f"missing after the next run: {', '.join(missing)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, print one line for each kill, and return 1 if one left something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=list(COMMANDS))
    options = parser.parse_args(arguments)
    names, bad = options.command or list(COMMANDS), 0
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder))
        for number in range(options.kills):
            outcome = kills.kill_once(names[number % len(names)], options.seed + number // len(names))
            print(outcome, flush=True)
            bad += bool(outcome.problems)
    print(f"{options.kills} kills, {bad} with problems")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
