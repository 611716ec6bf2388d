"""Read the events that Ansible reports while it runs: outcomes of tasks, facts, package versions, first failure.

What a module answers comes from the guest, which is not trusted: it may be of any type and length, and hold any text.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ProvisionError
from harness.guest.deadline import Clock
from harness.progress import Watcher
from harness.visible import visible, visible_lines

FACTS = ("ansible_distribution", "ansible_distribution_version", "ansible_kernel", "ansible_python_version")
STATUS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
MOST_TEXT, MOST_VERSIONS = 200, 10_000  # characters of a fact or a version; packages
VERSIONS_TASK = "Report the versions installed"  # in site.yml; its output are the versions of the packages


@dataclass(frozen=True)
class TaskOutcome:
    """One task on one machine; `status` is ok, changed, skipped, ignored, failed or unreachable."""

    host: str
    role: str
    task: str
    status: str
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class ProvisionReport:
    """The outcome of one run of Ansible. `facts` and `packages` (name -> version) are keyed by machine."""

    tasks: list[TaskOutcome]
    seconds: float
    log_path: Path
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def ok(self) -> int:
        """The number of tasks that succeeded, with or without a change."""
        return self._count("ok", "changed")

    @property
    def changed(self) -> int:
        """The number of tasks that changed something; 0 on a machine that was ready."""
        return self._count("changed")

    @property
    def failed(self) -> int:
        """The number of tasks that failed or whose machine could not be reached."""
        return self._count("failed", "unreachable")

    def _count(self, *statuses: str) -> int:
        return sum(task.status in statuses for task in self.tasks)


class AnsibleEvents:
    """Handles Ansible's events: shows tasks to the watcher, writes the log, collects what goes into the report.

    `stop` asks Ansible to end when it is set; `clock` is that of the machines.
    """

    def __init__(self, watcher: Watcher, log_path: Path, expected_tasks: int, clock: Clock = time.monotonic) -> None:
        self.watcher, self.log_path, self.expected_tasks = watcher, log_path, expected_tasks
        self._clock, self._last_event = clock, clock()
        self.tasks: list[TaskOutcome] = []
        self.facts: dict[str, dict[str, str]] = {}
        self.packages: dict[str, dict[str, str]] = {}
        self.last_lines: list[str] = []
        self.stop = threading.Event()
        self.current_task = "start"
        self._started_tasks = 0

    def on_event(self, event: dict[str, Any]) -> bool:
        """Handle one event. Returns True, because ansible-runner drops events otherwise."""
        self._last_event = self._clock()
        self._log(event.get("stdout", ""))
        kind, data = event.get("event", ""), event.get("event_data", {})
        if kind == "playbook_on_task_start":
            self._started_tasks += 1
            self.current_task = data.get("task", "")
            self.watcher.note(self.current_task)
            self.watcher.advance(min(self._started_tasks, self.expected_tasks), self.expected_tasks)
        elif kind in STATUS:
            self._add_outcome(STATUS[kind], data)
        return True

    def quiet_s(self) -> float:
        """Return the seconds since the last event."""
        return self._clock() - self._last_event

    def report(self, seconds: float) -> ProvisionReport:
        """Return what has been collected, after a run that took `seconds`."""
        return ProvisionReport(self.tasks, seconds, self.log_path, self.facts, self.packages)

    def error(self) -> ProvisionError:
        """Return an error with the first failure and the output of the machine where it happened."""
        failed = [task for task in self.tasks if task.status in ("failed", "unreachable")]
        if not failed:
            output = "\n".join(self.last_lines[-12:]) or "it printed nothing"
            hint = "`harness doctor` checks the packages that this needs"
            return ProvisionError(f"ansible-playbook failed:\n{output}", hint=hint, log=self.log_path)
        first = failed[0]
        role = f"{first.role} : " if first.role else ""
        what = f"task [{role}{first.task}] {first.status}: {first.message}"
        unreachable = "see whether the machine is still up" if first.status == "unreachable" else None
        return ProvisionError(what, where=first.host, hint=unreachable, log=self.log_path)

    def _log(self, text: str) -> None:
        if not text:
            return
        self.last_lines = [*self.last_lines, *text.splitlines()][-50:]
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(visible_lines(text) + "\n")

    def _add_outcome(self, status: str, data: dict[str, Any]) -> None:
        result, host, task = _mapping(data.get("res")), data.get("host", ""), data.get("task", "")
        if status == "ok" and result.get("changed"):
            status = "changed"
        if status == "failed" and data.get("ignore_errors"):
            status = "ignored"
        gathered = _mapping(result.get("ansible_facts"))
        if facts := {key: _short(gathered[key]) for key in FACTS if key in gathered}:
            self.facts.setdefault(host, {}).update(facts)
        if task == VERSIONS_TASK and status == "ok":
            self.packages[host] = _versions(result.get("stdout_lines"))
        failed = status in ("failed", "unreachable")
        seconds, message = float(data.get("duration", 0.0)), _failure_text(result) if failed else ""
        self.tasks.append(TaskOutcome(host, data.get("role", ""), task, status, seconds, message))


def _failure_text(result: dict[str, Any]) -> str:
    """Return a failed task's message and the end of its command's output."""
    items = result.get("results")
    failed_items = [item for item in items if _mapping(item).get("failed")] if isinstance(items, list) else []
    result = failed_items[0] if failed_items else result
    keys = ("msg", "stderr", "stdout", "module_stderr", "module_stdout")
    parts = [str(result.get(key, "")).strip() for key in keys]
    return "\n".join(dict.fromkeys(part[-1500:] for part in parts if part)) or "no message"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(value: Any) -> str:
    """Return what may stand in a manifest and on a terminal."""
    return visible(str(value)[:MOST_TEXT])


def _versions(lines: Any) -> dict[str, str]:
    """Return the version of each package, from lines of `name version`."""
    texts = [_short(line) for line in lines[:MOST_VERSIONS]] if isinstance(lines, list) else []
    return dict(text.split(" ", 1) for text in texts if " " in text)
