"""The kernel of a machine is asked once: whether it is the one that was asked for, and whether perf can record."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.machines import guest_kernel
from harness.spec import MachineSpec

EVENTS = "".join(f"event {name}\n" for name in (*guest_kernel.EVENTS, "sched_waking", "perf"))
ANSWER = f"1\n6.1.0-57-cloud-amd64\nroot=/dev/vda nohz=off quiet\n{EVENTS}"
SPEC = MachineSpec(box="debian-12", cmdline=("nohz=off", "quiet"))


def check(answer: str, spec: MachineSpec = SPEC, pattern: str | None = r"6\.1\.0-\d+-cloud-amd64") -> None:
    guest_kernel.require(guest_kernel.read(answer), spec, pattern)


def test_a_machine_that_is_as_wanted_passes() -> None:
    check(ANSWER)
    check(ANSWER.replace("sched_waking", "sched_wakeup"))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("1\n6", "2\n6", r"has 2 CPUs\n  expected: 1"),
        ("6.1.0-57", "6.1.0-57-mine", r"runs the kernel 6.1.0-57-mine-cloud-amd64\n  expected: 6.1.0-d\+-cloud-amd64"),
        ("nohz=off ", "", r"lacks nohz=off; it is `root=/dev/vda quiet`"),
        (
            EVENTS,
            f"{EVENTS}unknown biosdevname=0 nohz=off\n",
            r"does not know nohz=off of machine.cmdline\n  expected: words that this kernel takes",
        ),
        (
            "event sched_switch\n",
            "",
            r"no sched tracepoints in this kernel \(6.1.0-57-cloud-amd64\): .* sched:sched_switch",
        ),
        (EVENTS, "", r"sched:sched_waking, perf events\n.*\n  try: .*CONFIG_EVENT_TRACING"),
    ],
)
def test_what_is_not_as_wanted_is_named_with_what_was_expected(old: str, new: str, error: str) -> None:
    assert old in ANSWER
    with pytest.raises(MachineError, match=error):
        check(ANSWER.replace(old, new, 1))


@pytest.mark.parametrize("answer", ["", "1\n", "1\n6.1.0\n", "x\n6.1.0\na\n", "1\n6.1.0 7\na\n"])
def test_another_answer_is_an_error(answer: str) -> None:
    with pytest.raises(MachineError, match="the machine answered"):
        guest_kernel.read(answer)


def test_another_release_than_that_of_the_box_is_an_error_before_anything_boots() -> None:
    guest_kernel.require_of_box("debian-12", "6.1.0-57-amd64", MachineSpec(box="debian-12", kernel="6.1.0-57-amd64"))
    with pytest.raises(MachineError) as caught:
        guest_kernel.require_of_box("debian-12", "6.1.0-57-amd64", MachineSpec(box="debian-12", kernel="6.1.0-1-foo"))
    assert str(caught.value).splitlines()[:2] == [
        "machine.kernel: the box debian-12 has the kernel 6.1.0-57-amd64",
        "  expected: 6.1.0-1-foo",
    ]


def test_words_that_the_kernel_does_not_know_are_told() -> None:
    assert guest_kernel.read(ANSWER + "unknown mitigatons=off quiett\n").unknown == ("mitigatons=off", "quiett")


def test_the_question_is_answered_by_this_host(tmp_path: Path) -> None:
    """The shell finds the events of this host's kernel, where it may look; `mount` and `dmesg` are of no use here."""
    for name in ("mount", "dmesg"):
        (tmp_path / name).write_text(
            '#!/bin/sh\n[ "${0##*/}" = mount ] || echo \'[ 0.1] Unknown kernel command line '
            'parameters "quiett a=b", will be passed to user space.\'\n'
        )
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", guest_kernel.COMMAND], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    kernel = guest_kernel.read(done.stdout)
    assert kernel.cmdline == tuple(Path("/proc/cmdline").read_text().split())
    assert kernel.unknown == ("quiett", "a=b")
    assert kernel.events <= {*guest_kernel.EVENTS, *guest_kernel.WAKEUPS, "perf"}
