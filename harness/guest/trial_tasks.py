"""Runs inside the guest, before and after the recording: prints every task with its scheduling group as a line of JSON.

The guest's own Python, 3.6 or newer, runs it with only the standard library; `trial_script.py` starts it, never while
perf records. It starts no process and reads three small files of each task. docs/design.md describes what it prints.
"""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import json
import os
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

MOST_TASKS = 2000  # so that neither the time nor the result grows without bounds
COMM_BYTES = 15
PPID, FLAGS, NICE, RT_PRIORITY, POLICY = 4, 9, 19, 40, 41  # fields of /proc/TID/stat, numbered from 1 as in proc(5)
AFTER_COMM = 3  # the first field behind the name, which may itself hold spaces
PF_EXITING, PF_WQ_WORKER, PF_KTHREAD = 0x4, 0x20, 0x200000
WORKER = re.compile(rb"kworker/u?\d+:\d+H?")  # /proc adds what the worker does: kworker/0:1-events
ESCAPE = re.compile(rb"\\(n|\\)")  # of a newline and a backslash of a name


class Hierarchy(NamedTuple):
    """Where the cpu controller is mounted, its name in /proc/TID/cgroup (none with v2), and its name of a weight."""

    mount: bytes
    controller: bytes
    weight: str

    def weight_file(self, cgroup: bytes) -> bytes:
        """Return the path of the file with the weight of a cgroup."""
        return self.mount + cgroup.rstrip(b"/") + b"/cpu." + self.weight.encode("ascii")


def read(*path: bytes) -> bytes:
    """Return the content of a small file. Raises OSError."""
    with open(os.path.join(*path), "rb") as stream:
        return stream.read()


def snapshot(proc: bytes = b"/proc", most: int = MOST_TASKS) -> Dict[str, Any]:
    """Return `tasks`, at most `most`; `cgroups`, the weights of theirs; and how many tasks were `left_out`.

    Left out are tasks beyond `most` and tasks that may not be read, not those that end meanwhile.
    """
    hierarchy = cpu_hierarchy(read(proc, b"mounts"))
    tasks, cgroups, left_out = [], set(), 0  # type: List[Dict[str, Any]], Set[bytes], int
    for tgid, tid in threads(proc):
        if len(tasks) >= most:
            left_out += 1
            continue
        try:
            task, cgroup = describe(proc, tgid, tid, hierarchy)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            left_out += 1
            continue
        tasks.append(task)
        cgroups.update(with_ancestors(cgroup) if cgroup else ())
    return {"tasks": tasks, "cgroups": weights(hierarchy, cgroups) if hierarchy else {}, "left_out": left_out}


def threads(proc: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yield the thread group and the thread id of every task."""
    for tgid in numbers_in(proc):
        for tid in numbers_in(os.path.join(proc, tgid, b"task")):
            yield tgid, tid


def numbers_in(folder: bytes) -> List[bytes]:
    """Return the names in a folder that are numbers, in order; none if the folder is gone."""
    try:
        return sorted((name for name in os.listdir(folder) if name.isdigit()), key=int)
    except (FileNotFoundError, ProcessLookupError):
        return []


def describe(
    proc: bytes, tgid: bytes, tid: bytes, hierarchy: Optional[Hierarchy]
) -> Tuple[Dict[str, Any], Optional[bytes]]:
    """Return a task, and its cgroup if it has one that the cpu controller knows. Raises OSError.

    A task that is about to end has none: with cgroup v1, the kernel says that its cgroup is the root, which it was not.
    """
    folder = os.path.join(proc, tgid, b"task", tid)
    task, flags = task_of(read(folder, b"stat"))
    task["tgid"] = int(tgid)
    group = autogroup(os.path.join(proc, tgid))
    if group:
        task["autogroup"] = group
    if hierarchy is None or flags & PF_EXITING:
        return task, None
    cgroup = scheduling_cgroup(hierarchy, read(folder, b"cgroup"))
    if cgroup:
        task["cgroup"] = as_text(cgroup)
    return task, cgroup


def task_of(stat: bytes) -> Tuple[Dict[str, Any], int]:
    """Return what /proc/TID/stat says of a task, and its flags.

    Bytes of its name that are not UTF-8 become lone surrogates.
    """
    tid, _, rest = stat.partition(b" (")
    name, _, fields = rest.rpartition(b") ")
    after = fields.split()
    flags = int(after[FLAGS - AFTER_COMM])
    numbers = {"ppid": PPID, "nice": NICE, "policy": POLICY, "rt_priority": RT_PRIORITY}
    task = {key: int(after[place - AFTER_COMM]) for key, place in numbers.items()}  # type: Dict[str, Any]
    task["tid"], task["kthread"] = int(tid), bool(flags & PF_KTHREAD)
    task["comm"] = comm(name, flags).decode("utf-8", "surrogateescape")
    return task, flags


def comm(name: bytes, flags: int) -> bytes:
    """Return the name that the scheduler has for a task, from the one in its stat file."""
    name = ESCAPE.sub(lambda escape: b"\n" if escape.group(1) == b"n" else b"\\", name)
    worker = WORKER.match(name) if flags & PF_WQ_WORKER else None
    return worker.group() if worker else name[:COMM_BYTES]


def autogroup(process: bytes) -> Optional[str]:
    """Return the autogroup of a process and its nice value; None if it has none, or the kernel has no autogroups."""
    try:
        return read(process, b"autogroup").decode("ascii", "replace").strip() or None
    except FileNotFoundError:
        return None


def cpu_hierarchy(mounts: bytes) -> Optional[Hierarchy]:
    """Return the hierarchy of the cpu controller: that of cgroup v1 if it is mounted, else cgroup v2, else None."""
    second = None
    for line in mounts.splitlines():
        _, mount, kind, options = line.split()[:4]
        if kind == b"cgroup" and b"cpu" in options.split(b","):
            return Hierarchy(mount, b"cpu", "shares")
        if kind == b"cgroup2" and second is None:
            second = Hierarchy(mount, b"", "weight")
    return second


def scheduling_cgroup(hierarchy: Hierarchy, text: bytes) -> Optional[bytes]:
    """Return the cgroup that a task is scheduled in, from the text of /proc/TID/cgroup; None if none is named there.

    With cgroup v2 the cpu controller may know only an ancestor of the named one; the root is always known.
    """
    lines = (line.split(b":", 2) for line in text.split(b"\n") if line)
    named = (path for _, controllers, path in lines if hierarchy.controller in controllers.split(b","))
    cgroup = next(named, None)
    while cgroup and cgroup != b"/" and not os.path.exists(hierarchy.weight_file(cgroup)):
        cgroup = os.path.dirname(cgroup)
    return cgroup


def with_ancestors(cgroup: bytes) -> List[bytes]:
    """Return a cgroup and all above it, up to the root."""
    paths = [cgroup]
    while paths[-1] != b"/":
        paths.append(os.path.dirname(paths[-1]))
    return paths


def weights(hierarchy: Hierarchy, cgroups: Set[bytes]) -> Dict[str, Dict[str, int]]:
    """Return the `shares` (v1) or `weight` (v2) of each cgroup; none for the root of v2, or for one that is gone."""
    known = {}  # type: Dict[str, Dict[str, int]]
    for cgroup in cgroups:
        try:
            known[as_text(cgroup)] = {hierarchy.weight: int(read(hierarchy.weight_file(cgroup)))}
        except OSError:
            known[as_text(cgroup)] = {}
    return known


def as_text(path: bytes) -> str:
    """Return a path as text that can be printed; bytes that are not UTF-8 become escapes."""
    return path.decode("utf-8", "backslashreplace")


if __name__ == "__main__":
    print(json.dumps(snapshot(), sort_keys=True))
