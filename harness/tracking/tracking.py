"""Sends a run to its targets while it goes on, in limited time; what goes wrong is one warning and no error."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from harness.errors import HarnessError, TrackingError
from harness.progress import View
from harness.store import RunFolder
from harness.store.clock import now
from harness.tracking.sender import Sender
from harness.tracking.target import Target

KEY = "tracking"  # in the manifest: {target: {key, run, sent, missing}}
FIRST_S = 60.0  # the library is imported, which takes a busy host long, and a database made
NEXT_S = 10.0
LAST_S = 60.0  # with the files
INTERRUPTED_S = 15.0  # somebody waits for the end


class Tracking:
    """Sends what is new in a run whenever `send` is called; once that failed, no more before the run has ended."""

    def __init__(self, targets: Sequence[Target], view: View) -> None:
        self._senders = {target: Sender(target) for target in targets}
        self._view = view
        self._failed: set[Target] = set()
        self._began = False

    def send(self, folder: RunFolder) -> None:
        """Send what the targets lack of a run, whose lock this process holds. Raises nothing but Interrupted."""
        running = folder.state == "running"
        limit_s = (NEXT_S if self._began else FIRST_S) if running else LAST_S
        if folder.state == "interrupted":
            limit_s = INTERRUPTED_S
        self._began = True
        for target in self._senders:
            if not (running and target in self._failed):
                self._send_or_warn(folder, target, limit_s)
        if not running:
            self.close()

    def close(self) -> None:
        """End the processes that send."""
        for sender in self._senders.values():
            sender.close()

    def _send_or_warn(self, folder: RunFolder, target: Target, limit_s: float) -> None:
        try:
            send(folder, target, self._senders[target], limit_s)
        except (HarnessError, OSError, ValueError) as error:
            again = f"harness track {shlex.quote(str(folder.path))}"
            what = error.what if isinstance(error, HarnessError) else str(error)
            text = f"not tracked by {target.kind}: {what}; the run goes on, and `{again}` sends it later"
            if target not in self._failed:
                self._view.show("warn", text)
                with suppress(HarnessError, OSError):
                    folder.event("warning", text=text)
            self._failed.add(target)


def send(folder: RunFolder, target: Target, sender: Sender, limit_s: float) -> str:
    """Send a run whose lock this process holds; return its id at the tracker, which its manifest keeps.

    Raises TrackingError if it was not sent whole, and HostError if the manifest cannot be written.
    """
    entry = folder.manifest.get(KEY, {}).get(str(target)) or {"key": uuid4().hex, "run": None, "sent": None}
    _note(folder, target, entry)
    try:
        answer = sender.send(folder.path, entry["key"], entry["run"], limit_s)
    except TrackingError as error:
        _note(folder, target, {**entry, "missing": error.what})
        raise
    _note(folder, target, {**entry, "run": answer["run"], "sent": now(), "missing": None})
    return str(answer["run"])


def _note(folder: RunFolder, target: Target, entry: Mapping[str, Any]) -> None:
    known = folder.manifest.get(KEY, {})
    if known.get(str(target)) != entry:
        folder.update(**{KEY: {**known, str(target): dict(entry)}})
