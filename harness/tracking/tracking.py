"""Sends a run to its targets while it goes on, in limited time; what goes wrong is one warning and no error."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress

from harness.errors import HarnessError, TrackingError
from harness.progress import View
from harness.store import RunFolder
from harness.store.clock import now
from harness.tracking.sender import Sender
from harness.tracking.target import Target
from harness.tracking.tracker import Sent
from harness.visible import visible

KEY = "tracking"  # in the manifest: {target: {run, sent, missing}}
NOT_SENT = {"run": None, "sent": None, "missing": None}
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
        self._shown: set[Target] = set()
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
            if str(target) not in folder.manifest.get(KEY, {}):
                _note(folder, target, NOT_SENT)  # so that a resumed run is sent there, too
            sent = send(folder, target, self._senders[target], limit_s)
        except Exception as error:  # whatever it is, it is no reason to lose a recording
            self._warn(folder, target, error)
            return
        if target not in self._shown or target in self._failed:
            self._view.show("info", f"tracked by {target.kind}{' after all' * (target in self._failed)}: {sent.place}")
            self._shown.add(target)

    def _warn(self, folder: RunFolder, target: Target, error: Exception) -> None:
        """Warn once of each target; what was not sent is sent at the end of the run, or by a command."""
        if target in self._failed:
            return
        self._failed.add(target)
        why = f"{error.where or target}: {error.what}" if isinstance(error, HarnessError) else repr(error)
        then = f"the run goes on; `harness track {shlex.quote(str(folder.path))}` sends it later"
        text = f"not tracked by {target.kind}: {visible(why)}; {then}"
        self._view.show("warn", text)
        with suppress(HarnessError, OSError):
            folder.event("warning", text=text)


def send(folder: RunFolder, target: Target, sender: Sender, limit_s: float) -> Sent:
    """Send a run whose lock this process holds; its manifest keeps its id at the tracker, and what went wrong.

    Raises TrackingError if it was not sent whole, HostError if the manifest cannot be written, OSError if no process
    starts.
    """
    entry = folder.manifest.get(KEY, {}).get(str(target))
    try:
        sent = sender.send(folder.path, entry.get("run") if entry else None, limit_s)
    except TrackingError as error:
        if entry:
            _note(folder, target, {**entry, "missing": error.what})
        raise
    _note(folder, target, {"run": sent.run, "sent": now(), "missing": None})
    return sent


def _note(folder: RunFolder, target: Target, entry: Mapping[str, str | None]) -> None:
    folder.update(**{KEY: {**folder.manifest.get(KEY, {}), str(target): dict(entry)}})
