"""Ansible over a real SSH connection to this machine, with playbooks that change nothing outside the test's folder.

The project's own playbook would change this machine, so only the end-to-end tests run it, in a guest.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace

import pytest
import waiting

from harness.errors import ProvisionError, RemoteError
from harness.guardian import processes_naming
from harness.guest import provision
from harness.guest.ansible_events import VERSIONS_TASK, AnsibleEvents
from harness.loads.kinds import Kinds
from harness.paths import data_dir
from harness.progress import SilentWatcher

pytestmark = pytest.mark.slow


class Notes(SilentWatcher):
    """A watcher that keeps all notes and steps."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[float, float | None]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: float, total: float | None) -> None:
        self.steps.append((done, total))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also when a shell ignores it for the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def write_playbook(folder: Path, tasks: str, gather_facts: bool = False) -> Path:
    """Make a folder like `ansible/` whose site.yml has the given tasks."""
    (folder / "roles" / "perf").mkdir(parents=True)
    shutil.copy(data_dir("ansible") / "ansible.cfg", folder)
    facts = f"  gather_facts: {str(gather_facts).lower()}\n"
    subset = '  gather_subset: ["!all", "!min", distribution, platform, python]\n' if gather_facts else ""
    play = "- name: Test\n  hosts: all\n" + facts + subset + "  tasks:\n" + indent(tasks, "    ")
    (folder / "site.yml").write_text(play)
    return folder


@pytest.fixture
def playbooks(tmp_path: Path):
    """`write_playbook` into a folder of the test."""
    return lambda tasks: write_playbook(tmp_path / "playbooks", tasks)


def apply(host, folder: Path, tmp_path: Path, **more):
    watcher = more.pop("watcher", SilentWatcher())
    return provision.apply([host], more.pop("roles", ["perf"]), tmp_path / "work", watcher, playbook_dir=folder, **more)


def signal_handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture(scope="module")
def finished(module_sshd, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One run for several tests: facts, a command, a look at the environment, a file of variables."""
    folder, watcher = tmp_path_factory.mktemp("finished"), Notes()
    tasks = (
        "- name: Say hello\n  ansible.builtin.command: 'true'\n"
        "- name: Look\n  ansible.builtin.assert:\n    that: lookup('ansible.builtin.env', 'SOME_TOKEN') == ''\n"
        "- name: Write the variables\n  ansible.builtin.copy:\n    mode: '0644'\n"
        f"    content: '{{{{ [harness_roles, workers] | to_json }}}}'\n    dest: {folder}/variables\n"
    )
    playbook = write_playbook(folder / "playbooks", tasks, gather_facts=True)
    with pytest.MonkeyPatch.context() as patch, module_sshd.host() as host:
        patch.setenv("SOME_TOKEN", "sesame")
        before = signal_handlers()
        report = apply(host, playbook, folder, watcher=watcher, extra_vars={"workers": 2})
        handlers = (before, signal_handlers())
    return SimpleNamespace(report=report, watcher=watcher, folder=folder, handlers=handlers, sshd=module_sshd)


def test_the_second_run_changes_nothing(host, playbooks, tmp_path: Path) -> None:
    folder = playbooks(
        "- name: Write a page\n  ansible.builtin.copy:\n    content: page\n    mode: '0644'\n"
        f"    dest: {tmp_path}/page\n"
    )
    first, second = (apply(host, folder, tmp_path) for _ in range(2))
    assert (first.ok, first.changed, first.failed) == (1, 1, 0)
    assert (second.ok, second.changed, second.failed) == (1, 0, 0)
    assert (tmp_path / "page").read_text() == "page"


def test_tasks_are_shown_when_they_start_and_logged(finished) -> None:
    assert finished.watcher.notes == ["Gathering Facts", "Say hello", "Look", "Write the variables"]
    assert finished.watcher.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert "TASK [Say hello]" in finished.report.log_path.read_text()
    outcomes = [(task.host, task.task, task.status) for task in finished.report.tasks]
    assert outcomes[1] == ("loopback", "Say hello", "changed")
    assert len(outcomes) == 4


def test_facts_are_returned(finished) -> None:
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    assert finished.report.facts["loopback"]["ansible_kernel"] == kernel
    assert "ansible_distribution_version" in finished.report.facts["loopback"]


def test_the_environment_of_this_process_is_not_passed_to_ansible(finished) -> None:
    assert [task.status for task in finished.report.tasks if task.task == "Look"] == ["ok"]
    kept = [path for path in (finished.folder / "work").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["provision.log"]
    assert "sesame" not in kept[0].read_text()


def test_signal_handlers_and_connections_are_left_unchanged(finished) -> None:
    before, after = finished.handlers
    assert after == before
    waiting.until(lambda: not finished.sshd.connected())


def test_variables_reach_the_playbook_unchanged(finished) -> None:
    assert json.loads((finished.folder / "variables").read_text()) == [["perf"], 2]


def test_a_failed_task_is_reported_with_the_machine_and_the_output(host, playbooks, tmp_path: Path) -> None:
    folder = playbooks("- name: Install it\n  ansible.builtin.command: sh -c 'echo no such package >&2; exit 3'\n")
    with pytest.raises(ProvisionError, match="Install it") as caught:
        apply(host, folder, tmp_path)
    text = str(caught.value)
    assert "loopback" in text
    assert "no such package" in text
    assert "provision.log" in text


def test_a_playbook_that_ansible_cannot_read_is_reported_with_its_message(host, playbooks, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="no_such_module"):
        apply(host, playbooks("- name: Odd\n  no_such_module: {}\n"), tmp_path)


def test_an_unknown_role_is_refused_before_anything_runs(host, playbooks, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="unknown role 'prof'") as caught:
        apply(host, playbooks("[]"), tmp_path, roles=["prof"])
    assert caught.value.expected == "perf"
    assert not (tmp_path / "work").exists()


def test_a_role_beside_a_load_of_an_installed_package_is_found_by_ansible(
    host, playbooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tmp_path / "site" / "roles" / "elsewhere" / "tasks"
    tasks.mkdir(parents=True)
    copied = f"content: x\n    mode: '0644'\n    dest: {tmp_path}/written\n"
    (tasks / "main.yml").write_text(f"- name: Write\n  ansible.builtin.copy:\n    {copied}")
    monkeypatch.setattr(Kinds, "role_folders", lambda _: [tasks.parent.parent])
    loop = "    name: '{{ item }}'\n  loop: '{{ harness_roles }}'\n"
    folder = playbooks(f"- name: Set up a role\n  ansible.builtin.include_role:\n{loop}")
    report = apply(host, folder, tmp_path, roles=["elsewhere"])
    assert [(task.role, task.task) for task in report.tasks if task.status == "changed"] == [("elsewhere", "Write")]
    assert (tmp_path / "written").read_text() == "x"


def test_a_machine_that_cannot_be_reached_is_a_remote_error(sshd, playbooks, tmp_path: Path) -> None:
    sshd.stop()
    with pytest.raises(RemoteError, match="refused"):
        apply(sshd.host(connect_limit_s=1.0), playbooks("[]"), tmp_path)


def waits_for(over: Path, begin: str = "true") -> str:
    """A task that runs until the file `over` exists: a command on the other side goes on when Ansible has ended."""
    return f"- name: Wait\n  ansible.builtin.command: sh -c '{begin}; until test -e {over}; do sleep 1; done'\n"


def test_a_run_past_its_limit_is_ended(host, playbooks, tmp_path: Path) -> None:
    folder = playbooks(waits_for(tmp_path / "over"))
    for limit_s in waiting.GROWING_S:
        with pytest.raises(ProvisionError, match=f"not done within {limit_s} s") as caught:
            apply(host, folder, tmp_path, limit_s=limit_s)
        if "task [start]" not in str(caught.value):
            break
    (tmp_path / "over").touch()
    assert "task [Wait]" in str(caught.value)


def test_the_limit_is_read_from_the_machines_clock(sshd, playbooks, tmp_path: Path) -> None:
    folder = playbooks(waits_for(tmp_path / "over", begin=f"touch {tmp_path}/began"))
    late = pytest.raises(ProvisionError, match=r"not done within 4000 s; no progress for (0|5000) s")
    with sshd.host(clock=lambda: 5000.0 if (tmp_path / "began").exists() else 0.0) as host, late as caught:
        apply(host, folder, tmp_path, limit_s=4000.0)
    (tmp_path / "over").touch()
    assert "task [Wait]" in str(caught.value)


def test_an_interrupt_ends_ansible(host, playbooks, tmp_path: Path, interruptible: None) -> None:
    folder = playbooks(waits_for(tmp_path / "over", begin=f"touch {tmp_path}/began"))

    def interrupt() -> None:
        waiting.until((tmp_path / "began").exists)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        apply(host, folder, tmp_path)
    waiting.until(lambda: "ansible" not in [thread.name for thread in threading.enumerate()])
    (tmp_path / "over").touch()


APPLIES = """
import json, sys
from pathlib import Path
from harness.guest import provision
from harness.guest.ansible_events import VERSIONS_TASK, AnsibleEvents
from harness.guest.remote import Host
from harness.progress import SilentWatcher
paths, plain, folder, work = json.loads(sys.argv[1])
with Host(**plain, **{name: Path(path) for name, path in paths.items()}) as host:
    provision.apply([host], ["perf"], Path(work), SilentWatcher(), playbook_dir=Path(folder))
"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_kill_leaves_no_ansible_no_connection_and_no_folder(
    sshd, playbooks, tmp_path: Path, short_folder: Path
) -> None:
    folder, host = playbooks(waits_for(tmp_path / "over", begin=f"touch {tmp_path}/began")), sshd.host()
    paths = {name: str(getattr(host, name)) for name in ("key_path", "known_hosts_path")}
    plain = {name: getattr(host, name) for name in ("address", "port", "user", "name", "connect_limit_s")}
    arguments = json.dumps([paths, plain, str(folder), str(tmp_path / "work")])
    with subprocess.Popen(
        [sys.executable, "-c", APPLIES, arguments], env={**os.environ, "TMPDIR": str(short_folder)}
    ) as killed:
        waiting.until(lambda: (tmp_path / "began").exists() or killed.poll())
        [private] = short_folder.glob(".harness.*.tmp")
        assert list((private / "c").iterdir()), "ssh's master process has no socket"
        assert processes_naming(private)
        killed.kill()
    (tmp_path / "over").touch()
    waiting.until(lambda: not processes_naming(private))
    waiting.until(lambda: not list(short_folder.iterdir()))
    waiting.until(lambda: not sshd.connected())


def test_a_module_that_answers_with_anything_is_no_defect(tmp_path: Path) -> None:
    values: list[object] = [None, 7, "x", [], [None, 7, "a b"], {}, {"failed": 1, "ansible_kernel": ["\x1b[2J"] * 99}]
    for value in values:
        events = AnsibleEvents(SilentWatcher(), tmp_path / "provision.log", 1)
        for result in (value, dict.fromkeys(["ansible_facts", "stdout_lines", "results", "msg", "changed"], value)):
            for kind in ("runner_on_ok", "runner_on_failed"):
                data = {"host": "guest", "task": VERSIONS_TASK, "res": result}
                events.on_event({"event": kind, "event_data": data, "stdout": "\x1b[2J"})
        report = events.report(1.0)
        facts = {**report.facts.get("guest", {}), **report.packages.get("guest", {})}
        assert all(isinstance(fact, str) and fact.isprintable() and len(fact) < 1000 for fact in facts.values())
        assert str(events.error()).startswith("guest: task [")
    assert "\x1b" not in (tmp_path / "provision.log").read_text()
