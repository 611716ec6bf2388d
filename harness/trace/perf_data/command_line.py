"""The command line of perf, as far as it says which tasks and events were recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_WITHOUT_VALUE = frozenset("abdgiNnqRSsTvWB")  # short options of perf record that may stand together, as in -ag


def options(command: Sequence[str]) -> list[str]:
    """Return the names of perf's options, without their values; up to `--`, as the recorded program has its own."""
    words = list(command[1:])
    return [name for word in words[: words.index("--") if "--" in words else None] for name in _names(word)]


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
