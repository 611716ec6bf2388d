"""What a thread was called at a time, as slices and wakeups tell it: threads take other names, and tids come again."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.data import parquet


@dataclass(frozen=True)
class Names:
    """By tid: when it took another name (ns, ascending, the first one included), and the names it took then."""

    since_ns: dict[int, list[int]] = field(default_factory=dict)
    name: dict[int, list[str]] = field(default_factory=dict)

    def at(self, tid: int, time_ns: int) -> str:
        """What it was called last by then; its first name where it had not been seen yet, "" where it never is."""
        since_ns = self.since_ns.get(tid)
        return self.name[tid][max(bisect_right(since_ns, time_ns) - 1, 0)] if since_ns else ""


def read(folder: Path) -> Names:
    """The names of a recording's threads. Raises TableError.

    A wakeup tells a name at once. That of a slice is known after the switch that begins it: who is picked is not known
    while it is asked who will be.
    """
    parts = [_told(folder, "slices", "start_ns", 1), _told(folder, "wakeups", "time_ns", 0)]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(text for part in parts for text in part[0]))}
    name = np.concatenate([np.array([numbers[text] for text in texts])[code] for texts, code, _, _ in parts])
    tid, time_ns = (np.concatenate([part[place] for part in parts]) for place in (2, 3))
    order = np.lexsort((time_ns, tid))
    tid, time_ns, name = tid[order], time_ns[order], name[order]
    new = np.ones(len(tid), bool)
    new[1:] = (tid[1:] != tid[:-1]) | (name[1:] != name[:-1])
    found, texts = Names(), list(numbers)
    for one, when_ns, number in zip(tid[new].tolist(), time_ns[new].tolist(), name[new].tolist(), strict=True):
        found.since_ns.setdefault(one, []).append(when_ns)
        found.name.setdefault(one, []).append(texts[number])
    return found


def _told(
    folder: Path, table_name: str, time: str, delay_ns: int
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """The names that occur in a table, and (n,) which of them each row says of which tid from when on."""
    table = parquet.read(folder, table_name)
    texts, code = parquet.coded(table, "comm")
    return texts, code, table["tid"].to_numpy().astype(np.int64), table[time].to_numpy().astype(np.int64) + delay_ns
