"""Install what a trial needs on the machines, by running Ansible's `site.yml` on them.

Ansible runs in a process of its own, driven by ansible-runner from a worker thread, so that this process keeps its
signal handlers and can stop it at any moment.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ProvisionError
from harness.guest.remote import Host
from harness.paths import data_dir
from harness.progress import Watcher

LIMIT_S = 1800.0
FACTS = ("ansible_distribution", "ansible_distribution_version", "ansible_kernel", "ansible_python_version")
STATUS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
VERSIONS_TASK = "Report the versions installed"


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
    """What a run of Ansible did. `facts` and `packages` (name -> version) are by machine name."""

    tasks: list[TaskOutcome]
    seconds: float
    log_path: Path
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def ok(self) -> int:
        """Tasks that succeeded, whether or not they changed anything."""
        return self._count("ok", "changed")

    @property
    def changed(self) -> int:
        """Tasks that changed something; 0 on a machine that was ready."""
        return self._count("changed")

    @property
    def failed(self) -> int:
        """Tasks that failed, on a machine that was reached or not."""
        return self._count("failed", "unreachable")

    def _count(self, *statuses: str) -> int:
        return sum(task.status in statuses for task in self.tasks)


def apply(
    hosts: Sequence[Host],
    roles: Sequence[str],
    work_dir: Path,
    watcher: Watcher,
    extra_vars: Mapping[str, Any] | None = None,
    *,
    limit_s: float = LIMIT_S,
    playbook_dir: Path | None = None,
) -> ProvisionReport:
    """Run `site.yml` with `roles` on all `hosts`, and return what it did.

    The whole output is appended to `work_dir/provision.log`. Raises ProvisionError, which names the task, the machine
    and what the machine said, also when `limit_s` seconds pass; RemoteError where a machine cannot be reached.
    """
    folder = playbook_dir or data_dir("ansible")
    _check_roles(folder, roles)
    for host in hosts:
        with host:  # pins the host key, which Ansible then insists on
            host.run("true", timeout_s=60)
    work_dir.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(watcher, work_dir / "provision.log", _count_tasks(folder, roles))
    variables = {"harness_roles": list(roles), **(extra_vars or {})}
    started = time.monotonic()
    with _private_dir() as private:
        runner = _runner(folder, private, _inventory(hosts), variables, recorder)
        try:
            _run_in_thread(runner, recorder, limit_s)
        finally:
            _close_control_connections(private)
    report = ProvisionReport(
        recorder.tasks, time.monotonic() - started, recorder.log_path, recorder.facts, recorder.packages
    )
    if runner.rc != 0 or report.failed:
        raise recorder.error()
    return report


class Recorder:
    """Listens to Ansible's events: tells the watcher, writes the log, keeps outcomes, facts and versions."""

    def __init__(self, watcher: Watcher, log_path: Path, expected_tasks: int) -> None:
        self.watcher, self.log_path, self.expected_tasks = watcher, log_path, expected_tasks
        self.tasks: list[TaskOutcome] = []
        self.facts: dict[str, dict[str, str]] = {}
        self.packages: dict[str, dict[str, str]] = {}
        self.last_lines: list[str] = []
        self.stop = threading.Event()
        self.current_task = "start"
        self._seen = 0

    def on_event(self, event: dict[str, Any]) -> bool:
        """Take one event; always True, because ansible-runner drops events otherwise."""
        self._log(event.get("stdout", ""))
        kind, data = event.get("event", ""), event.get("event_data", {})
        if kind == "playbook_on_task_start":
            self._seen += 1
            self.current_task = data.get("task", "")
            self.watcher.note(self.current_task)
            self.watcher.advance(min(self._seen, self.expected_tasks), self.expected_tasks)
        elif kind in STATUS:
            self._take(STATUS[kind], data)
        return True

    def error(self) -> ProvisionError:
        """What went wrong, in the words of the machine it went wrong on."""
        failed = [task for task in self.tasks if task.status in ("failed", "unreachable")]
        if not failed:
            said = "\n".join(self.last_lines[-12:]) or "it printed nothing"
            told = "`harness doctor` checks the packages that this needs"
            return ProvisionError(f"ansible-playbook failed:\n{said}", hint=told, log=self.log_path)
        first = failed[0]
        role = f"{first.role} : " if first.role else ""
        hint = "see whether the machine is still up" if first.status == "unreachable" else None
        return ProvisionError(
            f"task [{role}{first.task}] {first.status}: {first.message}", where=first.host, hint=hint, log=self.log_path
        )

    def _log(self, text: str) -> None:
        if not text:
            return
        self.last_lines = [*self.last_lines, *text.splitlines()][-50:]
        with self.log_path.open("a", encoding="utf-8", errors="replace") as log:
            log.write(text + "\n")

    def _take(self, status: str, data: dict[str, Any]) -> None:
        result, host, task = data.get("res") or {}, data.get("host", ""), data.get("task", "")
        if status == "ok" and result.get("changed"):
            status = "changed"
        if status == "failed" and data.get("ignore_errors"):
            status = "ignored"
        known = result.get("ansible_facts", {})
        if found := {key: str(known[key]) for key in FACTS if key in known}:
            self.facts.setdefault(host, {}).update(found)
        if task == VERSIONS_TASK and status == "ok":
            self.packages[host] = dict(line.split(" ", 1) for line in result.get("stdout_lines", []) if " " in line)
        failed = status in ("failed", "unreachable")
        seconds, message = float(data.get("duration", 0.0)), _said(result) if failed else ""
        self.tasks.append(TaskOutcome(host, data.get("role", ""), task, status, seconds, message))


def _said(result: dict[str, Any]) -> str:
    """What a failed task reported: its message, and what the command it ran printed last."""
    failed_items = [item for item in result.get("results", []) if item.get("failed")]
    result = failed_items[0] if failed_items else result
    keys = ("msg", "stderr", "stdout", "module_stderr", "module_stdout")
    parts = [str(result.get(key, "")).strip() for key in keys]
    return "\n".join(dict.fromkeys(part[-1500:] for part in parts if part)) or "no message"


def _runner(
    folder: Path, private: Path, inventory: dict[str, Any], variables: dict[str, Any], recorder: Recorder
) -> Any:
    """An ansible-runner that is ready to run, with an environment that holds nothing of the user's."""
    import ansible_runner

    runner = ansible_runner.interface.init_runner(
        private_data_dir=str(private),
        project_dir=str(folder),
        playbook="site.yml",
        inventory=inventory,
        extravars=variables,
        settings={"pexpect_timeout": 1, "suppress_ansible_output": True},
        quiet=True,
        event_handler=recorder.on_event,
        cancel_callback=recorder.stop.is_set,  # given, it leaves this process's signal handlers alone
    )
    runner.config.env = _environment(runner.config.env, folder, private)
    return runner


def _environment(prepared: Mapping[str, str], folder: Path, private: Path) -> dict[str, str]:
    """What ansible-runner added to the environment, and the little that Ansible needs besides.

    ansible-runner writes the environment into its artefacts, so nothing else of this process's may be in it.
    """
    added = {key: value for key, value in prepared.items() if os.environ.get(key) != value}
    programs = Path(sys.executable).parent  # not resolved: in a virtual environment it is a link out of it
    return {
        **added,
        "PATH": f"{programs}{os.pathsep}{os.defpath}{os.pathsep}/usr/local/bin:/usr/sbin:/sbin",
        "HOME": str(private),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(private / "home"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(private / "c"),
        "PYTHONWARNINGS": "ignore",
    }


def _inventory(hosts: Sequence[Host]) -> dict[str, Any]:
    return {"all": {"hosts": {host.name: _host_variables(host) for host in hosts}}}


def _host_variables(host: Host) -> dict[str, Any]:
    known = str(host.known_hosts_path).replace("%", "%%")
    options = [f'UserKnownHostsFile="{known}"', "GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes"]
    options += ["IdentitiesOnly=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=8"]
    return {
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": str(host.key_path),
        "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(option)}" for option in options),
    }


@contextlib.contextmanager
def _private_dir() -> Iterator[Path]:
    """A fresh folder for ansible-runner, gone afterwards. Its path is short: control sockets end at 108 characters."""
    private = Path(tempfile.mkdtemp(prefix="harness-"))
    try:
        yield private
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _run_in_thread(runner: Any, recorder: Recorder, limit_s: float) -> None:
    """Run it to its end; stop it when the limit passes or this thread is interrupted.

    Waits on an event rather than in `Thread.join`, which after an interrupt takes a running thread for an ended one.
    """
    failure: list[BaseException] = []
    ended = threading.Event()
    thread = threading.Thread(target=_guarded, args=(runner.run, failure, ended), name="ansible", daemon=True)
    thread.start()
    until = time.monotonic() + limit_s
    try:
        while not ended.wait(0.2) and time.monotonic() < until:
            pass
    finally:
        if late := not ended.is_set():
            recorder.stop.set()
            ended.wait(20)
    if late:
        where = f"task [{recorder.current_task}]"
        raise ProvisionError(
            f"not done within {limit_s:g} s",
            where=where,
            hint="the log says how far it came; a package archive that is slow or out of reach is the usual reason",
            log=recorder.log_path,
        )
    if failure:
        raise ProvisionError(f"ansible-runner failed: {failure[0]}", log=recorder.log_path) from failure[0]


def _guarded(work: Callable[[], object], failure: list[BaseException], ended: threading.Event) -> None:
    try:
        work()
    except BaseException as error:
        failure.append(error)
    finally:
        ended.set()


def _close_control_connections(private: Path) -> None:
    """End the connections Ansible keeps open: an idle one would disturb the scheduler during a recording."""
    for control in (private / "c").glob("*"):
        command = ["ssh", "-F", "/dev/null", "-o", f"ControlPath={control}", "-O", "exit", "any-name"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=10)
        until = time.monotonic() + 5
        while control.exists() and time.monotonic() < until:
            time.sleep(0.05)


def _check_roles(folder: Path, roles: Sequence[str]) -> None:
    known = sorted(path.name for path in (folder / "roles").iterdir())
    for role in roles:
        if role not in known:
            raise ProvisionError(f"unknown role {role!r}", where=str(folder / "roles"), expected=", ".join(known))


def _count_tasks(folder: Path, roles: Sequence[str]) -> int:
    """How many tasks a run starts, about: those written down, and one for gathering facts."""
    import yaml

    play = yaml.safe_load((folder / "site.yml").read_text(encoding="utf-8"))[0]
    total = 1 + len(play["tasks"])
    for role in ("baseline", "packages", *roles):
        tasks = folder / "roles" / role / "tasks" / "main.yml"
        total += len(yaml.safe_load(tasks.read_text(encoding="utf-8")) or []) if tasks.exists() else 0
    return total
