"""Which of perf's options a command line has."""

from __future__ import annotations

import pytest

from harness.trace.perf_data.command_line import filters, is_sched_record, options


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


@pytest.mark.parametrize(
    ("command", "is_for_switches"),
    [
        ("perf record -a -e sched:sched_switch --filter CPU==0 -e sched:sched_waking", True),
        ("perf record -a -e sched:sched_switch -e sched:sched_waking --filter pid==1", False),
        ("perf record -ae sched:* --filter=pid==1", True),
        ("perf record --event={sched:sched_waking,sched:sched_switch}:S --filter pid==1", True),
        ("perf record -esched:sched_waking,sched:sched_wakeup --filter pid==1", False),
        ("perf sched record --filter pid==1", False),
        ("perf record -a -e sched:sched_switch -- sh --filter pid==1", False),
        ("", False),
    ],
)
def test_a_filter_is_for_the_events_before_it(command: str, is_for_switches: bool) -> None:
    assert filters(command.split(), "sched:sched_switch") is is_for_switches


def test_perf_sched_record_is_told_from_perf_record() -> None:
    assert is_sched_record(["/usr/bin/perf", "sched", "-v", "record", "-a"])
    assert not is_sched_record(["perf", "record", "-e", "sched:sched_switch", "sched", "record"])
    assert not is_sched_record([])
