"""A guest whose trial ends at once, without a machine: its answers can be forged, and its commands broken."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from forge import Forge
from locations import DATA

from harness.guest import trial, trial_config
from harness.guest.monitor import RUNNING, Condition, CpuTimes
from harness.guest.remote import MOST_BYTES, Result
from harness.loads import Load, NginxAb
from harness.progress import SilentWatcher
from harness.spec import RecordSpec

RESULT = DATA / "guest_result.json"  # of a real trial, with few of its tasks
RECORDING = Forge().write([])
FILES = {"perf.data": RECORDING, "load.txt": b"Complete requests: 12\nFailed requests: 0\n", "perf.log": b""}


@dataclass(frozen=True)
class Planned:
    name: str = "000_nginx_ab"
    load: Load = field(default_factory=NginxAb)
    record: RecordSpec = field(default_factory=lambda: RecordSpec(warmup_s=0.0, seconds=0.2))
    seed: int = 0


LABEL = "000_nginx_ab-a1"


class FakeHost:
    """A guest whose trial ends at once, and the view of it from outside.

    `broken` maps a part of a command to the outcome of that command; `phases` are those that the started script writes.
    """

    where, user, clock, vigil = "fake (user@host:22)", "vagrant", staticmethod(time.monotonic), None

    def __init__(self, *phases: str, **broken: Result | Exception) -> None:
        self.broken, self.phases = broken, phases or ("prepared", "recording", "recorded", "done")
        self.commands: list[str] = []
        self.connected = False
        self.connected_at_look: list[bool] = []
        self.follows = False
        self.files = dict(FILES)
        self.digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
        self.written = "boot\n"
        self.result: dict[str, Any] = json.loads(RESULT.read_bytes())

    def replace(self, name: str, content: bytes) -> None:
        """Leave another file, with its right hash."""
        self.files[name], self.digests[name] = content, hashlib.sha256(content).hexdigest()

    def run(self, command: str, *, timeout_s: float, check: bool = True, sudo: bool = False) -> Result:
        self.connected = True
        self.commands.append(command)
        for part, outcome in self.broken.items():
            if part in command:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome
        return Result(command, *self._answer(command), "", 0.0)

    def _answer(self, command: str) -> tuple[int, str]:
        if command.endswith("trial.py check"):
            self.written += f"\nharness-trial {LABEL} check\n"
            return 0, "perf says hello\n" + json.dumps({"ok": True, "stage": "check"})
        if "systemd-run" in command:
            self.follows = True
        if "result.json" in command:
            return 0, json.dumps({**self.result, "sha256": self.digests})
        return 0, ""

    def put(self, local: Path, remote: str, timeout_s: float, progress: object = None) -> str:
        self.commands.append(f"put {remote}")
        return hashlib.sha256(local.read_bytes()).hexdigest()

    def get(
        self,
        remote: str,
        local: Path,
        timeout_s: float,
        progress: object = None,
        *,
        hashed: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> str:
        content = self.files[Path(remote).name]
        local.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        self.connected = False

    def console_size(self) -> int:
        if self.follows:
            self.connected_at_look.append(self.connected)
            if self.phases:
                self.written += f"\nharness-trial {LABEL} {self.phases[0]}\n"
                self.phases = self.phases[1:]
        return len(self.written)

    def console_delay_s(self) -> float:
        return 0.0

    def console(self) -> str:
        return self.written

    def guest_seconds(self) -> float | None:
        return None

    def cpu_times(self) -> CpuTimes | None:
        return None

    def process_ids(self) -> tuple[int, ...]:
        return ()

    def condition(self) -> Condition:
        return RUNNING


def carry_out(
    host: FakeHost, folder: Path, load: Load | None = None, tracer: Literal["perf", "none"] = "perf", **more: Any
) -> trial.TrialFiles:
    planned = Planned(load=load or NginxAb(), record=RecordSpec(warmup_s=0.0, seconds=0.2, tracer=tracer))
    more = {"watcher": SilentWatcher(), "monitor": host, **more}
    expected = trial_config.expectations(planned, "6.1.0-x", 1)
    return trial.run(host, planned, folder, more.pop("watcher"), expected=expected, **more)  # type: ignore[arg-type]
