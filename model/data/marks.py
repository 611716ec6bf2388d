"""The names of tasks as marks, which predictors learn to predict, and the vocabulary of the train part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import SettingError, StreamError

UNKNOWN = 0
UNKNOWN_NAME = "<unknown>"
KINDS = ("comm", "task")

# kworker/CPU:ID[H] is one worker of a pool that grows and shrinks; which of them serves a work item means nothing.
_KWORKER = re.compile(r"^kworker/(u?\d+):\d+(H?).*$")


def role(comm: str) -> str:
    """Return the comm without the number of a pooled kernel worker: `kworker/0:1H` becomes `kworker/0H`."""
    return _KWORKER.sub(r"kworker/\1\2", comm)


def comm_marks(comms: Sequence[str]) -> list[str]:
    """Return one mark per event: the role alone."""
    known = {comm: role(comm) for comm in set(comms)}
    return [known[comm] for comm in comms]


def task_marks(comms: Sequence[str], tids: Sequence[int]) -> list[str]:
    """Return one mark per event: role and thread; `nginx#1` is the second nginx thread that runs in this recording.

    Inside a recording this is comm and tid. Threads are numbered by first appearance, because a tid differs in every
    recording, and models could not be used on another one.
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
    """Return the mark of every event. `kind` is `comm` or `task`; anything else is a SettingError."""
    if kind == "comm":
        return comm_marks(comms)
    if kind == "task":
        return task_marks(comms, tids)
    raise SettingError(f"unknown mark {kind!r}: expected one of {', '.join(KINDS)}")


@dataclass(frozen=True)
class Vocabulary:
    """Marks by index; index 0 stands for every task that is not in the train part."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, train: Iterable[str]) -> Vocabulary:
        """Collect the marks of the train part, sorted. StreamError for fewer than two: there is nothing to predict."""
        names = sorted(set(train))
        if len(names) < 2:
            tasks = f"only {names[0]!r} runs" if names else "nothing runs"
            raise StreamError(f"{tasks} in the train part: expected at least two tasks; record a busier load or longer")
        return cls((UNKNOWN_NAME, *names))

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, names: Sequence[str]) -> np.ndarray:
        """Return (n,) int32 indices; names outside the vocabulary become UNKNOWN."""
        index = {name: code for code, name in enumerate(self.names) if code != UNKNOWN}
        return np.fromiter((index.get(name, UNKNOWN) for name in names), np.int32, len(names))
