"""What a task is called: the marks that predictors learn to foresee, and the vocabulary of the train part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import SettingError, StreamError

UNKNOWN = 0
UNKNOWN_NAME = "<unknown>"
KINDS = ("comm", "task")

# kworker/CPU:ID[H] is one worker out of a pool that grows and shrinks; which of them serves a work item says nothing.
_KWORKER = re.compile(r"^kworker/(u?\d+):\d+(H?).*$")


def role(comm: str) -> str:
    """The comm with the number of a pooled kernel worker taken off: `kworker/0:1H` is `kworker/0H`."""
    return _KWORKER.sub(r"kworker/\1\2", comm)


def comm_marks(comms: Sequence[str]) -> list[str]:
    """One mark per event: the role alone."""
    known = {comm: role(comm) for comm in set(comms)}
    return [known[comm] for comm in comms]


def task_marks(comms: Sequence[str], tids: Sequence[int]) -> list[str]:
    """One mark per event: role and thread, `nginx#1` being the second nginx thread to run in this recording.

    Inside a recording this is comm and tid. Threads are numbered by first appearance instead of carrying their tid,
    because a tid is drawn anew in every recording and would make each recording a language of its own.
    """
    names: dict[tuple[str, int], str] = {}
    threads: dict[str, int] = {}
    marks = []
    for comm, tid in zip(comms, tids, strict=True):
        name = names.get((comm, tid))
        if name is None:
            base = role(comm)
            name = names[comm, tid] = f"{base}#{threads.get(base, 0)}"
            threads[base] = threads.get(base, 0) + 1
        marks.append(name)
    return marks


def name_events(kind: str, comms: Sequence[str], tids: Sequence[int]) -> list[str]:
    """The mark of every event. `kind` is `comm` or `task`; anything else is a SettingError."""
    if kind == "comm":
        return comm_marks(comms)
    if kind == "task":
        return task_marks(comms, tids)
    raise SettingError(f"unknown mark {kind!r}: expected one of {', '.join(KINDS)}")


@dataclass(frozen=True)
class Vocabulary:
    """Marks by index; index 0 stands for every task that the train part never saw."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, train: Iterable[str]) -> Vocabulary:
        """The marks of the train part, sorted. Fewer than two is a StreamError: there is nothing to foresee."""
        names = sorted(set(train))
        if len(names) < 2:
            found = f"only {names[0]!r} runs" if names else "nothing runs"
            raise StreamError(f"{found} in the train part: expected at least two tasks; record a busier load or longer")
        return cls((UNKNOWN_NAME, *names))

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, names: Sequence[str]) -> np.ndarray:
        """(n,) int32 indices; names outside the vocabulary become UNKNOWN."""
        index = {name: code for code, name in enumerate(self.names) if code != UNKNOWN}
        return np.fromiter((index.get(name, UNKNOWN) for name in names), np.int32, len(names))
