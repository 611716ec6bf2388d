"""The process that sends: it imports the tracker's library, prints nothing, and ends with the harness that started it.

It answers each line of JSON on stdin with one on stdout, so it works only while it is waited for: never while a
recording is under way.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import ErrorDetails
from harness.store import RunFolder
from harness.tracking import record
from harness.tracking.target import KINDS
from harness.tracking.tracker import Tracker
from harness.visible import visible

MOST_LETTERS = 400  # of an error
NO_CONNECTION = (ConnectionError, TimeoutError, socket.gaierror)


def main() -> None:
    """Answer requests until stdin ends. What the tracker's library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    kind, uri = sys.argv[2:]
    tracker = KINDS[kind](uri)
    for line in sys.stdin:
        print(json.dumps(_answer(tracker, json.loads(line))), file=answers, flush=True)


def _answer(tracker: Tracker, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        run = record.of(RunFolder.open(Path(request["folder"])))
        return asdict(tracker.send(run, request["known"]))
    except ErrorDetails as error:
        return {"error": visible(error.what), "hint": error.hint}
    except Exception as error:
        return {"error": _short(_reason(error))}


def _reason(error: BaseException) -> str:
    """Return what the innermost of the errors says that led to this one: it says most, and the others repeat it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    error = next((each for each in error.args if isinstance(each, OSError)), error)  # as urllib3 hands it on
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"no connection: {text}" if isinstance(error, NO_CONNECTION) else text or type(error).__name__


def _short(text: str) -> str:
    line = visible(" ".join(text.split()))
    return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]}..."
