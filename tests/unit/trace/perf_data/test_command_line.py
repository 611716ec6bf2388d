"""Which of perf's options a command line has."""

from __future__ import annotations

import pytest

from harness.trace.perf_data.command_line import is_sched_record, options


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("perf record -a -e sched:sched_switch", ["-a", "-e"]),
        ("perf record -ag -e sched:*", ["-a", "-g", "-e"]),
        ("perf record -p123 -m1024", ["-p", "-m"]),
        ("perf record -gp 123 --filter=prev_pid!=0", ["-g", "-p", "--filter"]),
        ("perf sched record -o x -- taskset -p 1", ["-o"]),
        ("", []),
    ],
)
def test_options_are_found_however_they_are_written(command: str, names: list[str]) -> None:
    assert options(command.split()) == names


def test_perf_sched_record_is_told_from_perf_record() -> None:
    assert is_sched_record(["/usr/bin/perf", "sched", "-v", "record", "-a"])
    assert not is_sched_record(["perf", "record", "-e", "sched:sched_switch", "sched", "record"])
    assert not is_sched_record([])
