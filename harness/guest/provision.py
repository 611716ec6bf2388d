"""Install the packages of a trial on the machines, by running Ansible's `site.yml` on them.

Ansible runs in a separate process, controlled by ansible-runner in a worker thread, so that this process keeps its
signal handlers and can stop Ansible at any time.

The limit of the whole run is read from the machine's clock, `Host.clock`. ssh's own limits count the host's seconds;
they are there for a machine that has ended, and long enough for one that waits for the CPU of a busy host.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import guardian
from harness.errors import ProvisionError
from harness.guest.ansible_events import AnsibleEvents, ProvisionReport
from harness.guest.deadline import Deadline
from harness.guest.remote import Host
from harness.guest.vigil import Vigil
from harness.loads import KINDS
from harness.paths import data_dir
from harness.progress import Watcher
from harness.temporary import held_folder, sweep

LIMIT_S = 1800.0
CONNECT_S = 300  # for a key exchange, seconds of CPU on an emulated guest; the same as `timeout` in ansible.cfg
ALIVE_S, ALIVE_COUNT = 30, 20  # ssh hangs up after ten minutes without an answer


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
    """Run `site.yml` with `roles` on all `hosts`, and return the report.

    The whole output is appended to `work_dir/provision.log`. Raises ProvisionError, with the task, the machine and its
    output, when a task fails or the run takes longer than `limit_s` by the clock of the first machine; RemoteError when
    a machine cannot be reached, LostMachineError when one ended or stands still.
    """
    folder = playbook_dir or data_dir("ansible")
    found = _find_roles(folder, roles)
    for host in hosts:
        with host:  # pins the host key, which Ansible then requires
            host.run("true", timeout_s=60)
    work_dir.mkdir(parents=True, exist_ok=True)
    clock = hosts[0].clock
    vigils = [host.vigil for host in hosts if host.vigil]
    for vigil in vigils:
        vigil.tell = watcher.warn
    events = AnsibleEvents(watcher, work_dir / "provision.log", _count_tasks(folder, found), clock)
    variables = {"harness_roles": list(roles), **(extra_vars or {})}
    started = time.monotonic()
    with _private_dir() as private:
        runner = _runner(folder, private, _inventory(hosts), variables, events)
        runner.config.env["ANSIBLE_ROLES_PATH"] = _roles_path(folder, found)
        try:
            _run_in_thread(runner, events, Deadline(limit_s, clock), vigils)
        finally:
            _close_control_connections(private)
    report = events.report(time.monotonic() - started)
    if report.failed:
        _require_machines(vigils, at_once=True)
    if runner.rc != 0 or report.failed:
        raise events.error()
    return report


def _roles_path(folder: Path, roles: Mapping[str, Path]) -> str:
    """Return the folders where Ansible looks for roles, those of this project first."""
    return os.pathsep.join(dict.fromkeys(map(str, [folder / "roles", *(path.parent for path in roles.values())])))


def _runner(
    folder: Path, private: Path, inventory: dict[str, Any], variables: dict[str, Any], events: AnsibleEvents
) -> Any:
    """Return an ansible-runner that is ready to run, with nothing from the user's environment."""
    import ansible_runner

    runner = ansible_runner.interface.init_runner(
        private_data_dir=str(private),
        project_dir=str(folder),
        playbook="site.yml",
        inventory=inventory,
        extravars=variables,
        settings={"pexpect_timeout": 1, "suppress_ansible_output": True},
        quiet=True,
        event_handler=events.on_event,
        cancel_callback=events.stop.is_set,  # with a callback, ansible-runner installs no signal handlers
    )
    runner.config.env = _environment(runner.config.env, folder, private)
    return runner


def _environment(prepared: Mapping[str, str], folder: Path, private: Path) -> dict[str, str]:
    """Return the variables that ansible-runner added, and the few others that Ansible needs.

    ansible-runner writes the environment into its artefacts, so nothing else from this process may be in it.
    """
    added = {key: value for key, value in prepared.items() if os.environ.get(key) != value}
    programs = Path(sys.executable).parent  # not resolved: in a virtual environment it is a link to outside
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
    options += ["IdentitiesOnly=yes", f"ConnectTimeout={CONNECT_S}"]
    options += [f"ServerAliveInterval={ALIVE_S}", f"ServerAliveCountMax={ALIVE_COUNT}"]
    return {
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": str(host.key_path),
        "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(option)}" for option in options),
    }


@contextlib.contextmanager
def _private_dir() -> Iterator[Path]:
    """Make a folder for ansible-runner, whose path is short for the sockets in it (107 bytes); remove it at the end.

    If this process is killed, the guardian ends Ansible and the master process of ssh, and removes the folder.
    """
    root = Path(tempfile.gettempdir())
    sweep(root)
    with held_folder(root, "harness") as private, guardian.folder(private):
        yield private


def _require_machines(vigils: Sequence[Vigil], at_once: bool) -> None:
    for vigil in vigils:
        vigil.require(at_once)


def _run_in_thread(runner: Any, events: AnsibleEvents, deadline: Deadline, vigils: Sequence[Vigil] = ()) -> None:
    """Run Ansible; stop it when the limit passes, a machine is lost or this thread is interrupted.

    Raises ProvisionError, and LostMachineError with the reason.

    Waits on an event, not with `Thread.join`, which may report a running thread as ended after an interrupt.
    """
    failure: list[BaseException] = []
    ended = threading.Event()
    thread = threading.Thread(target=_guarded, args=(runner.run, failure, ended), name="ansible", daemon=True)
    thread.start()
    try:
        while not ended.wait(0.2) and deadline.left() > 0.0:
            _require_machines(vigils, at_once=False)
    finally:
        if late := not ended.is_set():
            events.stop.set()
            ended.wait(20)
    if late:
        raise ProvisionError(
            f"not done within {deadline.seconds:g} s; no progress for {events.quiet_s():.0f} s",
            where=f"task [{events.current_task}]",
            hint="the log shows how far it came; the usual reason is a slow or unreachable package archive",
            log=events.log_path,
        )
    if failure:
        raise ProvisionError(f"ansible-runner failed: {failure[0]}", log=events.log_path) from failure[0]


def _guarded(work: Callable[[], object], failure: list[BaseException], ended: threading.Event) -> None:
    try:
        work()
    except BaseException as error:
        failure.append(error)
    finally:
        ended.set()


def _close_control_connections(private: Path) -> None:
    """Close the connections that Ansible keeps open: an idle one would disturb the scheduler during a recording."""
    for control in (private / "c").glob("*"):
        command = ["ssh", "-F", "/dev/null", "-o", f"ControlPath={control}", "-O", "exit", "any-name"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=10)
        until = time.monotonic() + 5
        while control.exists() and time.monotonic() < until:
            time.sleep(0.05)


def _find_roles(folder: Path, roles: Sequence[str]) -> dict[str, Path]:
    """Return the folder of each role, which may come with a load of an installed package. Raises ProvisionError."""
    own = folder / "roles"
    found = KINDS.role_paths(own, roles)
    for role in roles:
        if role not in found:
            known = sorted(path.name for place in [own, *KINDS.role_folders()] for path in place.iterdir())
            raise ProvisionError(f"unknown role {role!r}", where=str(own), expected=", ".join(known))
    return found


def _count_tasks(folder: Path, roles: Mapping[str, Path]) -> int:
    """Return about how many tasks a run starts: those in the files, and one for gathering facts."""
    import yaml

    play = yaml.safe_load((folder / "site.yml").read_text(encoding="utf-8"))[0]
    total = 1 + len(play["tasks"])
    always = [folder / "roles" / role for role in ("baseline", "packages")]
    for role in (*always, *roles.values()):
        tasks = role / "tasks" / "main.yml"
        total += len(yaml.safe_load(tasks.read_text(encoding="utf-8")) or []) if tasks.exists() else 0
    return total
