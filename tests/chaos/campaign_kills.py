"""Kills a real campaign, with its virtual machine, at a random moment, and resumes it to its end.

However it ended: what was recorded is kept, the run can be resumed, and afterwards it is whole. No machine, no process
and no temporary file is left behind.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from command_line import HARNESS
from kills import ENDED_BY_SIGNAL, SIGNALS, TEMPORARY
from locations import EXPERIMENTS, ROOT
from real_campaign import domains

from harness.guardian import processes_with
from harness.store import RunFolder, find_runs

ENVIRONMENT = dict(os.environ)  # as it was: `kills` uses another cache
LIMIT_S = 1500.0
GONE_WITHIN_S = 120.0
SHORT = ("record.seconds=3", "record.warmup_s=1", "verdict.max_host_share=1", "trials.attempts=4")  # on a busy host too


@dataclass
class CampaignKill:
    """One kill: in which step it fell, how the killed process ended; `problems` says what must not be."""

    seed: int
    signal: signal.Signals
    delay_s: float
    step: str = "before the first step"
    exit_code: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def in_time(self) -> bool:
        """Whether the signal came before the campaign had ended."""
        return self.exit_code in ENDED_BY_SIGNAL[self.signal]

    def __str__(self) -> str:
        what = (
            f"campaign {self.seed:5} {self.signal.name:7} {self.delay_s:6.1f} s  exit {self.exit_code:4}  {self.step}"
        )
        return f"{what}{''.join(f'{chr(10)}    {one}' for one in self.problems)}"


class CampaignKills:
    """Campaigns in `folder`, which share a state; `seconds` is how long one takes that nobody kills."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds = folder, 0.0
        for name in ("state", "tmp"):
            (folder / name).mkdir()

    def kill_once(self, seed: int) -> CampaignKill:
        """Start a campaign, kill it, resume it, look at what is there. The seed decides signal and moment."""
        self.seconds = self.seconds or self._measure()
        draw = random.Random(f"campaign {seed}")
        kill = CampaignKill(seed, draw.choice(SIGNALS), draw.uniform(0, self.seconds))
        with self._runs() as runs:
            self._kill(runs, kill)
            if not kill.in_time:
                self.seconds = kill.delay_s
            if living := self._living():
                kill.problems.append(f"processes live on: {living}")
            code, said = self._to_the_end(runs)
            if code != 0:
                kill.problems.append(f"the resumed run exits with {code}: {said[-1500:]}")
            self._look(runs, kill)
        return kill

    def _measure(self) -> float:
        """Run one campaign that nobody kills. If it has to build and provision first, some kills come too late."""
        with self._runs() as runs:
            began = time.monotonic()
            code, said = self._to_the_end(runs)
            if code != 0:
                raise AssertionError(f"a campaign that nobody kills exits with {code}: {said[-1500:]}")
            return time.monotonic() - began

    def _kill(self, runs: Path, kill: CampaignKill) -> None:
        killed = self._start(runs, "run", str(EXPERIMENTS / "smoke.yaml"), *self._settings())
        try:
            killed.wait(timeout=kill.delay_s)
        except subprocess.TimeoutExpired:
            killed.send_signal(kill.signal)
        errors = killed.communicate(timeout=LIMIT_S)[1]
        kill.exit_code = killed.returncode
        if "Traceback" in errors or "Exception ignored" in errors:
            kill.problems.append(f"it printed:\n{errors}")
        if found := find_runs(runs):
            kill.step = _last_step(found[-1])
            if "running" in (state := RunFolder.open(found[-1]).state):
                kill.problems.append(f"nobody works in it, and its state is {state}")

    def _to_the_end(self, runs: Path) -> tuple[int, str]:
        """Resume the run that is there, or start one; return exit code and errors."""
        found = find_runs(runs)
        arguments = ["--resume", str(found[-1])] if found else [str(EXPERIMENTS / "smoke.yaml"), *self._settings()]
        run = self._start(runs, "run", *arguments)
        return run.wait(timeout=LIMIT_S), run.communicate()[1]

    def _look(self, runs: Path, kill: CampaignKill) -> None:
        verified = self._start(runs, "verify", str(find_runs(runs)[-1]))
        said = verified.communicate(timeout=LIMIT_S)[1]
        if verified.returncode != 0:
            kill.problems.append(f"verify exits with {verified.returncode}: {said}")
        known = {
            str(entry["domain"]) for entry in map(_json, (self.folder / "state").rglob("*.json")) if "domain" in entry
        }
        machine = RunFolder.open(find_runs(runs)[-1]).manifest.get("machine") or {}
        if left := domains() & {*known, str(machine.get("domain"))}:
            kill.problems.append(f"machines left: {sorted(left)}")
        places = (runs, self.folder / "state", self.folder / "tmp")
        if files := [path.name for place in places for path in place.rglob("*") if TEMPORARY.fullmatch(path.name)]:
            kill.problems.append(f"temporary files left: {files}")

    def _living(self) -> list[int]:
        """Return the processes of a killed campaign that do not end; its machine is no process of its own."""
        end = time.monotonic() + GONE_WITHIN_S
        while (pids := processes_with(f"CHAOS_PLACE={self.folder}")) and time.monotonic() < end:
            time.sleep(0.2)
        return pids

    def _start(self, runs: Path, *arguments: str) -> subprocess.Popen[str]:
        places = {"HARNESS_STATE": str(self.folder / "state"), "TMPDIR": str(self.folder / "tmp")}
        more = {"HARNESS_RUNS": str(runs), "PYTHONPATH": str(ROOT), "CHAOS_PLACE": str(self.folder)}
        return subprocess.Popen(
            [*HARNESS, *arguments],
            env=ENVIRONMENT | places | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def _runs(self) -> Iterator[Path]:
        runs = self.folder / "runs"
        runs.mkdir()
        yield runs
        shutil.rmtree(runs)

    @staticmethod
    def _settings() -> list[str]:
        return [word for setting in SHORT for word in ("--set", setting)]


def _last_step(run: Path) -> str:
    """Return the step that a run was in when it was killed; steps of a kind have one name."""
    steps = RunFolder.open(run).manifest["steps"]
    return re.sub(r":.*", "", next(reversed(steps), "before the first step"))


def _json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
