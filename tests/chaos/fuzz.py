"""Reads damaged files of one kind in this process, and writes what came of them; `reading` runs it and outlives it.

    python fuzz.py KIND FIRST COUNT SECONDS FOLDER

Input N of a kind is always the same, so that what went wrong can be done again: `python fuzz.py KIND N 1 60 FOLDER`.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parent.parent)]

from inputs import KINDS, Kind  # noqa: E402 - found where the line above says

from harness.errors import HarnessError  # noqa: E402
from model.errors import PredictionError  # noqa: E402

LIMIT_CPU_S = 30
MEMORY_BYTES = 6 << 30
PLACE = "place.json"  # the input that is being read, for the one who finds this process dead


class TooSlow(BaseException):
    """An input took more than LIMIT_CPU_S."""


def main(name: str, first: int, count: int, seconds: float, folder: Path) -> None:
    """Read inputs `first` up to `first + count`, for at most `seconds`; print the counts as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGVTALRM, _too_slow)
    kind = KINDS[name]
    path = kind.prepare(folder)
    whole, end = path.read_bytes(), time.monotonic() + seconds
    kind.read(path)  # the whole file: one that is refused would make every refusal below mean nothing
    counts: dict[str, Any] = {"read": 0, "refused": 0, "problems": []}
    for number in range(first, first + count):
        (folder / PLACE).write_text(json.dumps({**counts, "number": number}))
        if time.monotonic() > end:
            break
        _count(kind, path, kind.damage(whole, random.Random(f"{name} {number}")), whole, number, counts)
    print(json.dumps({**counts, "number": None}))


def _count(kind: Kind, path: Path, content: bytes, whole: bytes, number: int, counts: dict[str, Any]) -> None:
    path.write_bytes(content)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_CPU_S)
    try:
        with redirect_stdout(sys.stderr), redirect_stderr(sys.stderr):
            kind.read(path)
    except (HarnessError, PredictionError):
        counts["refused"] += 1
    except (Exception, TooSlow):
        counts["problems"].append({"number": number, "what": traceback.format_exc(limit=-3)})
    else:
        counts["read"] += 1
        if kind.must_notice and content != whole:
            counts["problems"].append({"number": number, "what": "a changed file was believed"})
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_slow(*_: object) -> None:
    raise TooSlow


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
