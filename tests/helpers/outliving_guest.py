"""A guest that outlives the process that records on it: what it wrote and holds is on the disk, without a machine."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import shlex
import time
from pathlib import Path
from typing import Any

from fakes import RECORDING
from locations import DATA

from harness.guest.monitor import RUNNING, Condition, CpuTimes
from harness.guest.remote import Result

RESULT = json.loads((DATA / "guest_result.json").read_bytes())
PHASES = ("prepared", "recording", "recorded", "done")
OUTPUT = b"Complete requests: 12\nFailed requests: 0\n"


class OutlivingGuest:
    """A guest that is one phase further at each look at its console, and the connection to it.

    `folder` holds its console and the folders of its trials; another process may go on with them. `stops_before`: the
    phase that it never reaches.
    """

    where, user, clock, vigil = "fake (user@host:22)", "vagrant", staticmethod(time.monotonic), None

    def __init__(self, folder: Path, stops_before: str = "") -> None:
        self.folder, self.stops_before = folder, stops_before
        self.boot_id = RESULT["boot_id"]
        self.connected_while_recording = False
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "console").touch()

    @property
    def labels(self) -> list[str]:
        """The trials that were started here."""
        return re.findall(r"harness-trial (\S+) started", self.console())

    def run(self, command: str, *, timeout_s: float, check: bool = True, sudo: bool = False) -> Result:
        if self.labels and "recording" in self.console() and "recorded" not in self.console():
            self.connected_while_recording = True
        return Result(command, *self._answer(command), "", 0.0)

    def _answer(self, command: str) -> tuple[int, str]:
        if command.endswith("trial.py check"):
            self._write(f"harness-trial {Path(shlex.split(command)[1]).parent.name} check")
            return 0, json.dumps({"ok": True, "stage": "check"})
        if "systemd-run" in command:
            label = re.search(r"harness-trial-(\S+?)\.service", command)
            assert label
            self._write(f"harness-trial {label.group(1)} started")
        if command.startswith("rm -rf"):
            (self.folder / "removed").touch()
        if "result.json" in command:
            return (1, "") if (self.folder / "removed").exists() else (0, json.dumps(self.result()))
        return 0, self.boot_id if "boot_id" in command else ""

    def result(self) -> dict[str, Any]:
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.files().items()}
        return {**RESULT, "name": self.labels[-1].rpartition("-a")[0], "sha256": hashes}

    def files(self) -> dict[str, bytes]:
        return {"perf.data": lzma.decompress(RECORDING.read_bytes()), "load.txt": OUTPUT, "perf.log": b""}

    def put(self, local: Path, remote: str, timeout_s: float, progress: object = None) -> str:
        return hashlib.sha256(local.read_bytes()).hexdigest()

    def get(self, remote: str, local: Path, *_: object, **__: object) -> str:
        content = self.files()[Path(remote).name]
        with local.open("wb") as half:  # the harness may be killed here
            half.write(content[: len(content) // 2])
        with local.open("ab") as rest:
            rest.write(content[len(content) // 2 :])
        return hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        pass

    def console_size(self) -> int:
        if self.labels:
            label, text = self.labels[-1], self.console().rpartition(" started")[2]
            coming = next((phase for phase in PHASES if f" {phase}" not in text), "")
            if coming and coming != self.stops_before:
                self._write(f"harness-trial {label} {coming}")
        return len(self.console())

    def console_delay_s(self) -> float:
        return 0.0

    def console(self) -> str:
        return (self.folder / "console").read_text()

    def guest_seconds(self) -> float | None:
        return None

    def cpu_times(self) -> CpuTimes | None:
        return None

    def process_ids(self) -> tuple[int, ...]:
        return ()

    def condition(self) -> Condition:
        return RUNNING

    def _write(self, line: str) -> None:
        with (self.folder / "console").open("a") as console:
            console.write(f"\n{line}\n")
