"""The command line of perf, as far as it says which tasks and events were recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

_WITHOUT_VALUE = frozenset("abdgiNnqRSsTvWB")  # short options of perf record that may stand together, as in -ag


def options(command: Sequence[str]) -> list[str]:
    """Return the names of perf's options, without their values; up to `--`, as the recorded program has its own."""
    words = list(command[1:])
    return [name for word in words[: words.index("--") if "--" in words else None] for name in _names(word)]


def filters(command: Sequence[str], event: str) -> bool:
    """Whether a --filter is for `event`: it is for the events of the last -e before it, which may be patterns."""
    words, chosen = list(command[1 : command.index("--") if "--" in command else None]), ""
    for word, after in zip(words, [*words, ""][1:], strict=True):
        if [*_names(word)][-1:] in (["-e"], ["--event"]):
            chosen = word.partition("=" if word.startswith("--") else "e")[2] or after
        elif word.split("=")[0] == "--filter" and _names_event(chosen, event):
            return True
    return False


def _names_event(chosen: str, event: str) -> bool:
    """Whether the value of -e names the event, alone, in a list or group, with modifiers, or by a pattern."""
    return any(fnmatchcase(event, pattern) for name in re.split("[,{}]", chosen) for pattern in (name, f"*:{name}"))


def is_sched_record(command: Sequence[str]) -> bool:
    """Whether it is `perf sched record`, which records all tasks unless told otherwise."""
    return list(command[1:2]) == ["sched"] and "record" in command[2:]


def _names(word: str) -> Iterator[str]:
    if word.startswith("--"):
        yield word.split("=")[0]
    elif word.startswith("-"):
        for letter in word[1:]:
            yield f"-{letter}"
            if letter not in _WITHOUT_VALUE:  # what follows is its value
                return
