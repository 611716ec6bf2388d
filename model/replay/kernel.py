"""The kernel that made a recording, and the replay of that kernel's scheduler."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from model import kernel_release
from model.data import metadata
from model.data.streams import Stream
from model.data.task_groups import groups_of
from model.errors import StreamError
from model.kernel_release import EEVDF_SINCE, Release
from model.replay import cfs_queue, eevdf_queue, events
from model.replay.candidates import Replay
from model.replay.cfs_replay import ReplayedCfs
from model.replay.eevdf_replay import GroupedOrFlatEevdf
from model.replay.names import ThreadNames

BUDDIES_KEPT_SINCE = (5, 14)  # earlier kernels clear a buddy whenever it is picked
DELAY_DEQUEUE_SINCE = (6, 12)
MOST_CPUS = 8  # that the settings of CFS grow with (get_update_sysctl_factor)
_SLICE = "/sys/kernel/debug/sched/base_slice_ns"
_CFS = ("/proc/sys/kernel/sched_{}_ns", "/sys/kernel/debug/sched/{}_ns")  # up to Linux 5.12, and since
_FEATURES = ("/sys/kernel/debug/sched/features", "/sys/kernel/debug/sched_features")
_CHILD_RUNS_FIRST = "/proc/sys/kernel/sched_child_runs_first"
NR_LATENCY_KEPT_SINCE, NR_LATENCY = (5, 13), 8  # settings in debugfs change latency_ns and leave sched_nr_latency
_CFS_FEATURES = {
    "GENTLE_FAIR_SLEEPERS": "gentle_sleepers",
    "START_DEBIT": "start_debit",
    "NEXT_BUDDY": "next_buddy",
    "LAST_BUDDY": "last_buddy",
    "WAKEUP_PREEMPTION": "wakeup_preemption",
}
_EEVDF_FEATURES = {
    "RUN_TO_PARITY": "run_to_parity",
    "PLACE_LAG": "place_lag",
    "PLACE_DEADLINE_INITIAL": "place_deadline_initial",
    "DELAY_ZERO": "delay_zero",
    "PICK_BUDDY": "pick_buddy",
    "PREEMPT_SHORT": "preempt_short",
}
# They decide when a task is preempted, which the recording shows, or on which of several CPUs it runs.
_ELSEWHERE = re.compile(
    r"HRTICK|HRTICK_DL|DOUBLE_TICK|TTWU_QUEUE|SIS_\w+|WA_\w+|LB_\w+|UTIL_EST\w*|NI_\w+|NONTASK_CAPACITY|ARCH_\w+|RT_\w+"
    r"|WARN_\w+|LATENCY_WARN|ATTACH_AGE_LOAD|CACHE_HOT_BUDDY|HZ_BW|NUMA\w*|FORCE_SD_OVERLAP|ALT_PERIOD|BASE_SLICE"
)
_NUMBER = re.compile(r"[0-9]{1,18}")


def release(folder: Path) -> Release | None:
    """Return major and minor release of the recorded kernel; None if it is unknown."""
    return kernel_release.parse(metadata.kernel(folder))


def is_eevdf(folder: Path) -> bool:
    """Return whether the kernel has EEVDF: by its release or, if unknown, by whether it traces no vruntime."""
    version = release(folder)
    return version >= EEVDF_SINCE if version else not events.has_vruntime(folder)


def require_cfs(stream: Stream) -> None:
    """Raise StreamError if the kernel has EEVDF, or if run times were accounted and none of them has a vruntime."""
    if is_eevdf(stream.folder) or not events.has_vruntime(stream.folder):
        reason = "its kernel has EEVDF (Linux 6.6 and later) or traces no vruntime (6.8 and later)"
        raise StreamError(f"{stream.folder}: {reason}: CFS cannot be replayed from it, eevdf_replay can")


def cfs_rules(
    folder: Path,
    latency_ns: float | None = None,
    wakeup_granularity_ns: float | None = None,
    forget_buddies_when_picked: bool | None = None,
) -> cfs_queue.Rules:
    """Return the given rules, else those of the recording's guest, else the defaults of its kernel and CPUs.

    A kernel whose release is not known is taken for one since 5.14.
    """
    _require_known(folder, "cfs_replay", _CFS_FEATURES)
    defaults, factor, version = cfs_queue.Rules(), _cpu_factor(folder), release(folder)
    if forget_buddies_when_picked is None:
        forget_buddies_when_picked = version is not None and version < BUDDIES_KEPT_SINCE
    return cfs_queue.Rules(
        latency_ns or _cfs_setting(folder, "latency") or defaults.latency_ns * factor,
        _first(
            wakeup_granularity_ns,
            _cfs_setting(folder, "wakeup_granularity"),
            defaults.wakeup_granularity_ns * factor,
        ),
        forget_buddies_when_picked,
        _cfs_setting(folder, "min_granularity") or defaults.min_granularity_ns * factor,
        None if version is not None and version < NR_LATENCY_KEPT_SINCE else NR_LATENCY,
        child_runs_first=_scheduler(folder).get(_CHILD_RUNS_FIRST) == "1",
        **_switched(folder, _CFS_FEATURES),
    )


def knows_cfs_settings(folder: Path) -> bool:
    """Return whether the guest told the latency and granularities of its CFS."""
    names = ("latency", "min_granularity", "wakeup_granularity")
    return all(_cfs_setting(folder, name) is not None for name in names)


def create_cfs(stream: Stream, names: ThreadNames, rules: cfs_queue.Rules | None = None) -> ReplayedCfs:
    """Make the replay of CFS, with the groups that the guest told, and by its rules unless others are given."""
    folder = stream.folder
    return ReplayedCfs(stream, names, rules or cfs_rules(folder), groups_of(folder), metadata.cpus(folder) or 1)


def _cfs_setting(folder: Path, name: str) -> int | None:
    scheduler = _scheduler(folder)
    texts = (str(scheduler.get(path.format(name), "")) for path in _CFS)
    return next((int(text) for text in texts if _NUMBER.fullmatch(text)), None)


def _features(folder: Path) -> list[str]:
    """Return the scheduler features of the guest, `NAME` or `NO_NAME`; empty where they are not known."""
    scheduler = _scheduler(folder)
    return next((text.split() for path in _FEATURES if isinstance(text := scheduler.get(path), str)), [])


def _switched(folder: Path, fields: Mapping[str, str]) -> dict[str, bool]:
    """Return those of `fields` (feature -> field of Rules) of which the guest says whether they are on."""
    features = {*_features(folder)}
    known = {name: field for name, field in fields.items() if features & {name, f"NO_{name}"}}
    return {field: name in features for name, field in known.items()}


def _require_known(folder: Path, replay: str, known: Collection[str]) -> None:
    """Raise StreamError if the experiment switched a feature that changes picks, and that the replay does not have."""
    for setting in metadata.kernel_settings(folder):
        name = str(setting.get("name", "")).partition(".features.")[2]
        switched = name and setting.get("before") != setting.get("actual")
        if switched and name not in known and not _ELSEWHERE.fullmatch(name):
            what = f"{replay} has no rule for the scheduler feature {name}, which was switched for this recording"
            raise StreamError(f"{folder}: {what} ({setting.get('actual')}); other predictors can be used")


def _cpu_factor(folder: Path) -> int:
    """Return by what the defaults grow with the CPUs: 1 + log2 of them, rounded down; 1 where they are not known."""
    cpus = min(metadata.cpus(folder) or 1, MOST_CPUS)
    return cpus.bit_length()


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _scheduler(folder: Path) -> dict[str, object]:
    facts = metadata.guest_facts(folder).get("scheduler")
    return facts if isinstance(facts, dict) else {}


def eevdf_rules(folder: Path, slice_ns: int | None = None, delay_dequeue: bool | None = None) -> eevdf_queue.Rules:
    """Return the given rules, else those of the recording's kernel, else those of Linux 6.12 on one CPU."""
    scheduler = _scheduler(folder)
    features, defaults = _features(folder), eevdf_queue.Rules()
    _require_known(
        folder, "eevdf_replay", [*_EEVDF_FEATURES, "DELAY_DEQUEUE", "WAKEUP_PREEMPTION", "PLACE_REL_DEADLINE"]
    )
    if slice_ns is None:
        text = str(scheduler.get(_SLICE, ""))
        slice_ns = int(text) if _NUMBER.fullmatch(text) and int(text) else defaults.slice_ns
    if delay_dequeue is None:
        old = (release(folder) or DELAY_DEQUEUE_SINCE) < DELAY_DEQUEUE_SINCE
        delay_dequeue = "NO_DELAY_DEQUEUE" not in features and not old
    return eevdf_queue.Rules(slice_ns, delay_dequeue=delay_dequeue, **_switched(folder, _EEVDF_FEATURES))


def create_replay(stream: Stream, names: ThreadNames) -> Replay:
    """Make the replay of the recording's kernel: EEVDF since Linux 6.6, CFS before. Raises TableError."""
    if is_eevdf(stream.folder):
        return GroupedOrFlatEevdf(stream, names, eevdf_rules(stream.folder))
    return create_cfs(stream, names)
