"""The scheduling groups of a guest's tasks, from `guest.json`: its cpu cgroups and autogroups, and their weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.data.metadata import guest_facts

DEFAULT_WEIGHT, V2_DEFAULT = 1024, 100  # of a group: cpu.shares, and cpu.weight of cgroup v2
ENABLED = "/proc/sys/kernel/sched_autogroup_enabled"
ROOT = "/"
_AUTOGROUP = re.compile(r"(/autogroup-\d+)(?: nice (-?\d+))?")


@dataclass(frozen=True)
class GuestTask:
    """`groups`: name, and weight or nice value, of each group around a task, outermost first; None if unknown."""

    groups: tuple[GroupFacts, ...] | None
    policy: int = 0  # SCHED_OTHER; 3 is SCHED_BATCH, 5 is SCHED_IDLE


@dataclass(frozen=True)
class GroupFacts:
    """A group's name, and its weight or its nice value."""

    name: str
    weight: int = DEFAULT_WEIGHT
    nice: int | None = None


def groups_of(folder: Path) -> dict[tuple[int, str], GuestTask]:
    """Return the tasks that the guest listed, by tid and name; empty for a recording without such facts."""
    facts = guest_facts(folder)
    return {key: task for listed in _listed(facts) if (key := _key(listed)) and (task := _task(listed, facts))}


def _listed(facts: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the tasks after the recording, then those before it, which prevail: a replay begins with them."""
    lists = facts.get("tasks")
    for when in ("after", "before"):
        listed = lists.get(when) if isinstance(lists, dict) else None
        yield from (task for task in listed if isinstance(task, dict)) if isinstance(listed, list) else ()


def _key(task: Mapping[str, Any]) -> tuple[int, str] | None:
    tid, comm = task.get("tid"), task.get("comm")
    return (tid, comm) if isinstance(tid, int) and isinstance(comm, str) else None


def _task(task: Mapping[str, Any], facts: Mapping[str, Any]) -> GuestTask:
    policy = task.get("policy")
    return GuestTask(_groups(task, facts), policy if isinstance(policy, int) else 0)


def _groups(task: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[GroupFacts, ...] | None:
    """Return the groups in which the kernel queues a task (task_group, autogroup_task_group)."""
    path = _cpu_path(task.get("cgroup"))
    if path not in (None, ROOT):
        parts = [part for part in str(path).split("/") if part]
        paths = ["/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))]
        return tuple(GroupFacts(each, _weight(each, facts)) for each in paths)
    match = _AUTOGROUP.match(str(task.get("autogroup") or ""))
    if match is None:
        return ()
    settings = facts.get("scheduler")
    if isinstance(settings, dict) and str(settings.get(ENABLED, "1")) != "1":
        return None  # tasks that were there before autogroups were switched off stay in theirs
    return (GroupFacts(match[1], nice=int(match[2] or 0)),)


def _cpu_path(cgroup: object) -> str | None:
    """Return the path of a task's cgroup of the cpu controller."""
    path = cgroup.get("cpu") if isinstance(cgroup, dict) else cgroup
    return path if isinstance(path, str) else None


def _weight(path: str, facts: Mapping[str, Any]) -> int:
    cgroups = facts.get("cgroups")
    group = cgroups.get(path) if isinstance(cgroups, dict) else None
    shares, weight = (group.get(name) if isinstance(group, dict) else None for name in ("shares", "weight"))
    if isinstance(shares, int):
        return shares if shares > 0 else DEFAULT_WEIGHT
    scaled = weight * DEFAULT_WEIGHT // V2_DEFAULT if isinstance(weight, int) else 0
    return scaled if scaled > 0 else DEFAULT_WEIGHT  # the kernel knows no group without a weight
