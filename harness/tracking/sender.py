"""Starts the process that sends, waits a limited time for its answers, and kills it when they do not come.

The library of a tracker takes seconds to import, prints, logs, waits for minutes, and could crash. All of that is
another process's, so that the harness loses nothing but this process.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from harness.errors import TrackingError
from harness.tracking.target import Target
from harness.tracking.tracker import Sent
from harness.visible import visible

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from harness.tracking.sending_process import main; main()"
)
REQUEST_S = 5  # for one HTTP request, and for its connection
ENVIRONMENT = {  # of the libraries that trackers bring: no word to anybody else, short waits, no output
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST_S),
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # opens the file each time: one kept open may have been deleted
    "GIT_PYTHON_REFRESH": "quiet",
}
LEFT_OUT = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")


class Sender:
    """The other process, seen from here. `close` ends it; without that it ends when this process does."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def send(self, folder: Path, known: str | None, limit_s: float) -> Sent:
        """Send a run in its folder. Raises TrackingError, and OSError if no process starts; the process is ended then.

        `known` is that of `Tracker.send`.
        """
        request = {"folder": str(folder), "known": known}
        whole = False
        try:
            answer = self._ask(request, limit_s)
            whole = True
        finally:
            if not whole:  # also when a stop signal arrives: half an answer may be in the pipe
                self.close()
        if error := answer.get("error"):
            self.close()
            raise TrackingError(error, where=self._target.uri, hint=answer.get("hint"))
        return Sent(**answer)

    def close(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe
                with suppress(BrokenPipeError):
                    pipe.close()

    def _ask(self, request: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        process = self._process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        line = _line(process.stdout.fileno(), limit_s)
        if line is None:
            raise TrackingError(f"no answer within {limit_s:g} s", where=self._target.uri)
        if not line:
            raise self._ended()
        return dict(json.loads(line))

    def _start(self) -> subprocess.Popen[bytes]:
        """Start it in a session of its own: Ctrl-C does not reach it."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(sys.path), self._target.kind, self._target.uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**kept, **ENVIRONMENT},
            start_new_session=True,
        )

    def _ended(self) -> TrackingError:
        """Return the error of a process that ended, with the last line that it wrote."""
        assert self._errors
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        why = f": {visible(lines[-1])[:200]}" if lines else ""
        return TrackingError(f"the process that sends ended{why}", where=self._target.uri)


def _line(descriptor: int, limit_s: float) -> bytes | None:
    """Read one line; None if it is not there in time, and nothing if there will be none."""
    until, got = time.monotonic() + limit_s, b""
    while not got.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        part = os.read(descriptor, 65536)
        if not part:
            return b""
        got += part
    return got
