"""The kernel that a machine runs, asked once over SSH: the one that was asked for, and can perf record with it?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import MachineError
from harness.spec import MachineSpec

# What `perf sched record` needs; of the last two, it takes the first that there is.
EVENTS = ("sched_switch", "sched_stat_runtime", "sched_process_fork", "sched_wakeup_new", "sched_migrate_task")
WAKEUPS = ("sched_waking", "sched_wakeup")
CONFIG = "CONFIG_TRACEPOINTS, CONFIG_FTRACE, CONFIG_EVENT_TRACING (CONFIG_SCHED_TRACER selects it), CONFIG_PERF_EVENTS"

# One answer a line: CPUs, release, command line, then the events that there are. tracefs is mounted if nothing has
# done so; where the kernel has none, there is no folder for it.
COMMAND = f"""
nproc && uname -r && cat /proc/cmdline || exit
for folder in /sys/kernel/tracing /sys/kernel/debug/tracing; do [ -d "$folder/events/sched" ] && break; done
[ -d "$folder/events" ] || {{ folder=/sys/kernel/tracing; mount -t tracefs tracefs $folder 2>/dev/null; }}
for event in {" ".join((*EVENTS, *WAKEUPS))}; do [ -d "$folder/events/sched/$event" ] && echo "event $event"; done
[ -e /proc/sys/kernel/perf_event_paranoid ] && echo "event perf"
dmesg | sed -n 's/.*Unknown kernel command line parameters "\\(.*\\)", will be passed to user space.*/unknown \\1/p'
true
"""


@dataclass(frozen=True)
class GuestKernel:
    """A kernel's answers. `events`: those that exist, and `perf`; `unknown`: words of its command line."""

    cpus: int
    release: str
    cmdline: tuple[str, ...]
    events: frozenset[str]
    unknown: tuple[str, ...]


def read(answer: str) -> GuestKernel:
    """Read the output of COMMAND. Raises MachineError for any other text."""
    lines = answer.splitlines()
    match = re.fullmatch(r"([0-9]{1,5}) ([!-~]{1,64})", " ".join(lines[:2]))
    if not match or len(lines) < 3:
        expected = "the number of CPUs, the kernel's release and its command line"
        raise MachineError(f"the machine answered {answer[:200]!r}", expected=expected)
    rest = [line.partition(" ") for line in lines[3:]]
    events = frozenset(value for kind, _, value in rest if kind == "event")
    unknown = tuple(word for kind, _, value in rest if kind == "unknown" for word in value.split())
    return GuestKernel(int(match[1]), match[2], tuple(lines[2].split()), events, unknown)


def require(kernel: GuestKernel, spec: MachineSpec, pattern: str | None) -> None:
    """Raise MachineError unless CPUs, release (a regular expression) and words are as wanted, with what perf needs."""
    if kernel.cpus != spec.cpus:
        hint = f"CONFIG_SMP, CONFIG_NR_CPUS and machine.cmdline must allow {spec.cpus}" if spec.cpus > 1 else None
        raise MachineError(f"the machine has {kernel.cpus} CPUs", expected=f"{spec.cpus}", hint=hint)
    if pattern and not re.fullmatch(pattern, kernel.release):
        raise MachineError(
            f"the machine runs the kernel {kernel.release}",
            expected=re.sub(r"\\(.)", r"\1", pattern),
            hint="give machine.kernel the release that was built (`make kernelrelease`), or boot that kernel",
        )
    if missing := [word for word in spec.cmdline if word not in kernel.cmdline]:
        what = f"the kernel's command line lacks {', '.join(missing)}; it is `{' '.join(kernel.cmdline)[:1000]}`"
        raise MachineError(what, expected="every word of machine.cmdline", hint="does CONFIG_CMDLINE override it?")
    if unknown := [word for word in spec.cmdline if word in kernel.unknown]:
        raise MachineError(
            f"the kernel {kernel.release} says that it does not know {', '.join(unknown)} of machine.cmdline",
            expected="words that this kernel takes, or that have a dot: those of programs and modules",
            hint="correct the word, or leave it out: it has no effect here",
        )
    if missing := missing_events(kernel):
        raise MachineError(
            f"no sched tracepoints in this kernel ({kernel.release}): it lacks {', '.join(missing)}",
            expected="what `perf sched record` records",
            hint=f"build the kernel with {CONFIG}",
        )


def require_of_box(name: str, release: str, spec: MachineSpec) -> None:
    """Raise MachineError, before anything boots, if the release in a box is not the one that the experiment names."""
    if isinstance(spec.kernel, str) and spec.kernel != release:
        raise MachineError(
            f"the box {name} has the kernel {release}",
            where="machine.kernel",
            expected=spec.kernel,
            hint="`harness box ls` shows the kernel of each box; {deb}, {image} or {suite, package} put in another",
        )


def missing_events(kernel: GuestKernel) -> list[str]:
    """Return what perf needs and the kernel does not have."""
    missing = [f"sched:{name}" for name in EVENTS if name not in kernel.events]
    missing += [] if kernel.events & {*WAKEUPS} else [f"sched:{WAKEUPS[0]}"]
    return missing + ([] if "perf" in kernel.events else ["perf events"])
