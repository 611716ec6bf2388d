from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.data.task_groups import GroupFacts, GuestTask, groups_of

NGINX = {"tid": 95, "comm": "nginx", "policy": 0, "autogroup": "/autogroup-27 nice 5", "cgroup": "/"}
KERNEL_THREAD = {"tid": 7, "comm": "ksoftirqd/0", "policy": 0, "cgroup": "/"}
IN_CGROUP = {"tid": 180, "comm": "python3", "policy": 3, "autogroup": "/autogroup-34 nice 0", "cgroup": "/a/b"}


def guest(folder: Path, **facts: object) -> Path:
    (folder / "guest.json").write_text(json.dumps({"facts": facts}))
    return folder


def test_a_task_is_in_its_cgroups_or_else_in_its_autogroup(tmp_path: Path) -> None:
    cgroups = {"/": {"shares": 1024}, "/a": {"shares": 256}, "/a/b": {"weight": 50}}
    tasks = {"before": [NGINX, KERNEL_THREAD], "after": [NGINX, IN_CGROUP]}
    assert groups_of(guest(tmp_path, tasks=tasks, cgroups=cgroups)) == {
        (95, "nginx"): GuestTask((GroupFacts("/autogroup-27", nice=5),)),
        (7, "ksoftirqd/0"): GuestTask(()),
        (180, "python3"): GuestTask((GroupFacts("/a", 256), GroupFacts("/a/b", 512)), policy=3),
    }


def test_a_path_may_be_named_by_its_controller_and_a_group_may_lack_its_weight(tmp_path: Path) -> None:
    task = {"tid": 5, "comm": "ab", "autogroup": None, "cgroup": {"cpu": "/x"}}
    assert groups_of(guest(tmp_path, tasks={"before": [task], "after": []})) == {
        (5, "ab"): GuestTask((GroupFacts("/x"),)),
    }


def test_autogroups_that_are_switched_off_tell_nothing(tmp_path: Path) -> None:
    scheduler = {"/proc/sys/kernel/sched_autogroup_enabled": "0"}
    known = groups_of(guest(tmp_path, tasks={"before": [NGINX, KERNEL_THREAD]}, scheduler=scheduler))
    assert known == {(95, "nginx"): GuestTask(None), (7, "ksoftirqd/0"): GuestTask(())}


@pytest.mark.parametrize("tasks", [None, [], {}, {"before": None}, {"before": [7, {"tid": "x", "comm": "ab"}]}])
def test_a_recording_without_such_facts_has_no_known_tasks(tmp_path: Path, tasks: object) -> None:
    assert groups_of(tmp_path) == {}
    assert groups_of(guest(tmp_path, tasks=tasks)) == {}
