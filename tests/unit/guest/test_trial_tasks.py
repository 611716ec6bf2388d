"""The tasks of a guest and their scheduling groups: as the script reads them from this host, and from a made-up one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_proc import FakeProc

from harness.guest import trial, trial_tasks
from harness.guest.result import Task
from harness.trace.tracepoint.comm import to_text

V1 = "9:name=systemd:/init.scope\n4:cpu,cpuacct:{}\n0::/init.scope\n"
V2 = "0::{}\n"


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path / "proc")


def snapshot(proc: FakeProc, **more: Any) -> dict[str, Any]:
    """The tasks of a made-up /proc, as they arrive on the host."""
    taken = json.loads(json.dumps(trial_tasks.snapshot(os.fsencode(proc.path), **more)))
    assert isinstance(taken, dict)
    return taken


def only_task(proc: FakeProc) -> dict[str, Any]:
    (task,) = snapshot(proc)["tasks"]
    assert isinstance(task, dict)
    return task


def test_a_task_of_this_host_is_found_with_what_the_kernel_says_of_it() -> None:
    with subprocess.Popen(["sleep", "300"]) as child:
        os.setpriority(os.PRIO_PROCESS, child.pid, 19)
        taken = trial_tasks.snapshot(most=10**6)
        child.kill()
    tasks = {task["tid"]: task for task in taken["tasks"]}
    wanted = {"tid": child.pid, "tgid": child.pid, "ppid": os.getpid(), "comm": "sleep", "nice": 19, "policy": 0}
    assert {**wanted, "rt_priority": 0, "kthread": False}.items() <= tasks[child.pid].items()
    assert tasks[child.pid].get("autogroup") == tasks[os.getpid()].get("autogroup")
    assert {task["cgroup"] for task in taken["tasks"] if "cgroup" in task} <= set(taken["cgroups"])


def test_the_script_prints_one_line_of_json() -> None:
    command = [sys.executable, "-I", str(trial.SENT_ALONG["tasks.py"])]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=240).stdout
    assert printed.count(b"\n") == 1
    assert sorted(json.loads(printed)) == ["cgroups", "left_out", "tasks"]


def test_the_autogroup_of_this_process_is_that_of_its_session() -> None:
    path = Path("/proc/self/autogroup")
    wanted = path.read_text().strip() if path.exists() else ""
    assert (trial_tasks.autogroup(b"/proc/self") or "") == wanted


def test_the_fields_of_a_task_come_from_their_places_in_its_stat_file(proc: FakeProc) -> None:
    proc.task(12, b"migration/0", field_4=2, field_9=0x20_0000, field_19=-5, field_40=99, field_41=1)
    assert only_task(proc) == {
        "tid": 12,
        "tgid": 12,
        "ppid": 2,
        "comm": "migration/0",
        "nice": -5,
        "policy": 1,
        "rt_priority": 99,
        "kthread": True,
    }


def test_threads_are_tasks_of_their_own_in_the_autogroup_of_their_process(proc: FakeProc) -> None:
    proc.mount_cgroups("cgroup", {"/": 1024, "/a": 512})
    proc.task(70, tgid=70, cgroup=V1.format("/"), autogroup="/autogroup-77 nice 0\n")
    proc.task(71, tgid=70, cgroup=V1.format("/a"))
    tasks = snapshot(proc)["tasks"]
    assert [(task["tid"], task["tgid"], task["cgroup"]) for task in tasks] == [(70, 70, "/"), (71, 70, "/a")]
    assert {task["autogroup"] for task in tasks} == {"/autogroup-77 nice 0"}


def test_a_task_without_an_autogroup_and_a_kernel_without_autogroups_look_the_same(proc: FakeProc) -> None:
    proc.task(2, autogroup="")
    proc.task(3)
    assert all("autogroup" not in task for task in snapshot(proc)["tasks"])


@pytest.mark.parametrize(
    "comm",
    [
        b") R 1 1",
        b"a (b) c",
        b"two\nlines",
        b"back\\slash",
        b"\\n",
        b"",
        b"\xff\xfe",
        b"\xed\xb2\x80",
        "é😀".encode(),
        b" ",
    ],
)
def test_every_name_arrives_as_the_tables_have_it(proc: FakeProc, comm: bytes) -> None:
    proc.task(9, comm, field_19=7)
    task = Task.model_validate(only_task(proc))
    assert (task.comm, task.nice) == (to_text(comm), 7)
    json.dumps(task.comm).encode()


@pytest.mark.parametrize(
    ("name", "flags", "comm"),
    [
        (b"kworker/0:1-events", 0x20_0020, "kworker/0:1"),
        (b"kworker/u8:2+flush-254:0", 0x20_0020, "kworker/u8:2"),
        (b"kworker/1:0H-kblockd", 0x20_0020, "kworker/1:0H"),
        (b"kworker/R-mm_percpu_wq", 0x20_0020, "kworker/R-mm_pe"),
        (b"rcu_exp_gp_kthread_worker", 0x20_0000, "rcu_exp_gp_kthr"),
        (b"kworker/0:1-me", 0, "kworker/0:1-me"),  # a program that has given itself such a name
    ],
)
def test_the_name_is_the_schedulers_where_proc_says_more(proc: FakeProc, name: bytes, flags: int, comm: str) -> None:
    proc.task(5, name, field_9=flags)
    assert only_task(proc)["comm"] == comm


def test_the_names_of_this_hosts_tasks_are_those_that_its_scheduler_has() -> None:
    before, tasks, after = _scheduler_names(), trial_tasks.snapshot()["tasks"], _scheduler_names()
    names = {task["tid"]: task["comm"].encode("utf-8", "surrogateescape") for task in tasks}
    unchanged = [tid for tid in names if tid in before and before[tid] == after.get(tid)]
    assert [names[tid] for tid in unchanged] == [before[tid] for tid in unchanged]


def _scheduler_names() -> dict[int, bytes]:
    """The name of every process of this host in the kernel's own text for the scheduler; none where it has none."""
    names = {}
    for path in Path("/proc").glob("[0-9]*/sched"):
        with contextlib.suppress(OSError):
            names[int(path.parent.name)] = path.read_bytes().partition(f" ({path.parent.name}, #threads".encode())[0]
    return names


def test_the_cgroup_is_the_one_of_the_cpu_controller_with_the_shares_of_all_above_it(proc: FakeProc) -> None:
    proc.mount_cgroups("cgroup", {"/": 1024, "/system.slice": 2048, "/system.slice/a.service": 300, "/unused": 9})
    proc.mount_cgroups("cgroup2", {"/init.scope": 100})
    proc.task(4, cgroup=V1.format("/system.slice/a.service"))
    taken = snapshot(proc)
    assert taken["tasks"][0]["cgroup"] == "/system.slice/a.service"
    assert taken["cgroups"] == {
        "/": {"shares": 1024},
        "/system.slice": {"shares": 2048},
        "/system.slice/a.service": {"shares": 300},
    }


def test_with_cgroup_v2_the_cgroup_is_the_nearest_one_that_the_cpu_controller_knows(proc: FakeProc) -> None:
    proc.mount_cgroups("cgroup2", {"/system.slice": 100, "/system.slice/a.service": 50})
    for tid, path in enumerate(["/", "/system.slice/a.service/sub", "/system.slice/b.service", "/user.slice/x"], 1):
        proc.task(tid, cgroup=V2.format(path))
    taken = snapshot(proc)
    assert [task["cgroup"] for task in taken["tasks"]] == ["/", "/system.slice/a.service", "/system.slice", "/"]
    assert taken["cgroups"] == {"/": {}, "/system.slice": {"weight": 100}, "/system.slice/a.service": {"weight": 50}}


def test_a_cgroup_with_an_unusual_name_is_still_text(proc: FakeProc) -> None:
    proc.mount_cgroups("cgroup", {"/": 1024, "/a:b\\x2d c,cpu": 77})
    proc.task(1, cgroup=V1.format("/a:b\\x2d c,cpu"))
    (proc.task(2) / "cgroup").write_bytes(b"4:cpu:/\xff\n")
    taken = snapshot(proc)
    assert [task["cgroup"] for task in taken["tasks"]] == ["/a:b\\x2d c,cpu", "/"]
    assert taken["cgroups"]["/a:b\\x2d c,cpu"] == {"shares": 77}


def test_a_task_that_has_ended_but_was_not_waited_for_has_its_autogroup_and_no_cgroup(proc: FakeProc) -> None:
    proc.mount_cgroups("cgroup", {"/": 1024})
    proc.task(6, b"perf", field_9=0x40_0044, cgroup=V1.format("/"), autogroup="/autogroup-3 nice 0\n")
    task = only_task(proc)
    assert (task["autogroup"], "cgroup" in task) == ("/autogroup-3 nice 0", False)


def test_a_zombie_of_this_host_has_its_autogroup_and_no_cgroup() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        tasks = {task["tid"]: task for task in trial_tasks.snapshot(most=10**6)["tasks"]}
    assert tasks[child.pid]["comm"] == "true"
    assert tasks[child.pid].get("autogroup") == tasks[os.getpid()].get("autogroup")
    assert "cgroup" not in tasks[child.pid]


def test_a_kernel_without_the_cpu_controller_has_tasks_without_cgroups(proc: FakeProc) -> None:
    (proc.task(1) / "cgroup").unlink()
    taken = snapshot(proc)
    assert "cgroup" not in taken["tasks"][0]
    assert taken["cgroups"] == {}


@pytest.mark.parametrize("gone", ["stat", "cgroup"])
def test_a_task_that_ends_meanwhile_is_not_there_and_not_counted(proc: FakeProc, gone: str) -> None:
    proc.mount_cgroups("cgroup2", {})
    (proc.task(7) / gone).unlink()
    proc.task(8)
    taken = snapshot(proc)
    assert ([task["tid"] for task in taken["tasks"]], taken["left_out"]) == ([8], 0)


def test_a_process_that_ends_before_its_threads_are_listed_is_not_there(proc: FakeProc) -> None:
    (proc.path / "99").mkdir()
    assert snapshot(proc) == {"tasks": [], "cgroups": {}, "left_out": 0}


def test_a_task_that_may_not_be_read_is_counted(proc: FakeProc, unreadable: Callable[[Path], None]) -> None:
    proc.mount_cgroups("cgroup2", {})
    for tid, name in enumerate(["stat", "cgroup"], 1):
        unreadable(proc.task(tid) / name)
    proc.task(3)
    taken = snapshot(proc)
    assert ([task["tid"] for task in taken["tasks"]], taken["left_out"]) == ([3], 2)


@pytest.fixture
def unreadable() -> Callable[[Path], None]:
    """Make a file one that root cannot read either: a folder in its place."""

    def replace(path: Path) -> None:
        path.unlink()
        path.mkdir()

    return replace


def test_tasks_beyond_the_bound_are_counted_and_not_read(proc: FakeProc) -> None:
    for tid in range(1, 6):
        proc.task(tid)
    taken = snapshot(proc, most=3)
    assert ([task["tid"] for task in taken["tasks"]], taken["left_out"]) == ([1, 2, 3], 2)
