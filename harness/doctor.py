"""What this host has and lacks. Every check is a function that looks and returns a Check; nothing is printed here."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness import boxes, paths, processes
from harness.boxes import builder, cache, rootfs
from harness.errors import HarnessError
from harness.machines import kvm, libvirt
from harness.trace import native

SET_UP = "./setup.sh installs and starts what is missing"
PROGRAMS = ("vagrant", "virsh", "qemu-img", "qemu-system-x86_64", "mmdebstrap", "ssh-keygen", "setpriv")
PACKAGES = ("ansible-core", "ansible-runner", "fabric", "python-vagrant", "pyarrow", "pandas", "torch", "pydantic")
GROUPS = ("libvirt", "kvm")
DISK_MB = 5000  # a box, its copy in the libvirt pool, and a campaign's recordings
LIMIT_S = 20.0


@dataclass(frozen=True)
class Check:
    """One thing looked at. `hint` says what to do when it is not `ok`; a run works without what is mere `advice`."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    advice: bool = False


def examine() -> list[Check]:
    """Every check, in the order in which they matter. A check that itself fails is a check that is not ok."""
    parts: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("programs", programs),
        ("python packages", python_packages),
        ("compiled trace engine", trace_engine),
        ("libvirt", libvirt_parts),
        ("groups", groups),
        ("disk space", disk_space),
        ("keyrings", keyrings),
        ("boxes", built_boxes),
        ("kvm", kvm_answer),
    ]
    return [check for name, look in parts for check in _safely(name, look)]


def programs(names: Iterable[str] = PROGRAMS) -> list[Check]:
    """Each program, with where it is; for Vagrant its version and the libvirt plug-in too."""
    found = [_program(name) for name in names]
    return [*found, _vagrant_plugin()] if shutil.which("vagrant") else found


def python_packages(names: Iterable[str] = PACKAGES) -> list[Check]:
    """Each Python package the harness works through, with its version."""
    return [_package(name) for name in names]


def trace_engine() -> list[Check]:
    """Whether recordings are read by compiled code. Without it numpy does the same, more slowly."""
    found = native.state(again=True)
    hint = "" if found.usable else "sudo apt-get install gcc libc6-dev: recordings are then read faster"
    return [Check("compiled trace engine", found.usable, found.detail, hint, advice=True)]


def libvirt_parts() -> list[Check]:
    """Does libvirtd answer, and are its network and pool active."""
    answer = libvirt.virsh("uri", timeout_s=LIMIT_S)
    if not answer.ok:
        return [Check("libvirtd", False, _last_line(answer.output), SET_UP)]
    checks = [Check("libvirtd", True, libvirt.hypervisor_version())]
    for kind, args in (("network", ("net-info", libvirt.NETWORK)), ("pool", ("pool-info", libvirt.POOL))):
        told = libvirt.virsh(*args, timeout_s=LIMIT_S).output
        active = re.search(r"^(Active|State):\s+(yes|running)", told, re.M) is not None
        checks.append(Check(f"libvirt {kind}", active, "active" if active else _last_line(told), SET_UP))
    return checks


def groups() -> list[Check]:
    """Whether this process is in the groups that may use libvirt and KVM; root needs neither."""
    if os.getuid() == 0:
        return [Check("groups", True, "root")]
    import grp

    mine = {group.gr_name for group in grp.getgrall() if group.gr_gid in os.getgroups()}  # not every number has a name
    return [_group(name, name in mine) for name in GROUPS]


def disk_space() -> list[Check]:
    """Free space where boxes are built and kept."""
    return [_space(folder) for folder in (paths.cache_dir(), builder.scratch_root())]


def keyrings() -> list[Check]:
    """For every recipe, whether its suite can be verified. Only the recipes that can be built are needed."""
    checks = []
    for name in boxes.names():
        try:
            detail, ok, hint = str(rootfs.keyring(boxes.recipe(name))), True, ""
        except HarnessError as error:
            detail, ok, hint = error.what, False, error.hint or ""
        checks.append(Check(f"box {name} can be built", ok, detail, hint, advice=True))
    return checks


def built_boxes() -> list[Check]:
    """What is in the cache already."""
    return [
        Check(
            f"box {listed.box.name} is built",
            listed.current,
            f"{listed.size_mb:.0f} MB, kernel {listed.box.kernel}, digest {listed.box.digest[:12]}",
            "its recipe or the builder changed: it will be built again",
            advice=True,
        )
        for listed in cache.ls()
    ]


def kvm_answer() -> list[Check]:
    """What the last real boot under KVM showed. Without KVM a run works too, ten times slower."""
    answer = kvm.remembered(None)
    if answer is None:
        return [Check("kvm", False, "not tried yet", "the first run, or `harness box build`, finds out", advice=True)]
    hint = "" if answer.works else "machines are emulated (TCG): slower, and with other timing than a real CPU"
    return [Check("kvm", answer.works, answer.reason, hint, advice=True)]


def _safely(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(look())
    except HarnessError as error:
        return [Check(name, False, error.what, error.hint or SET_UP)]
    except OSError as error:
        return [Check(name, False, str(error), SET_UP)]


def _program(name: str) -> Check:
    path = shutil.which(name)
    return Check(name, path is not None, path or "not installed", "" if path else SET_UP)


def _vagrant_plugin() -> Check:
    told = processes.run(["vagrant", "plugin", "list"], timeout_s=LIMIT_S).output
    found = re.search(r"^vagrant-libvirt \(([^,)]+)", told, re.M)
    version = found.group(1) if found else "not installed"
    return Check("vagrant-libvirt", found is not None, version, "" if found else SET_UP)


def _package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", "pip install -e . in the environment that runs `harness`")


def _group(name: str, member: bool) -> Check:
    hint = "" if member else f"sudo usermod -aG {name} $USER, then log in again"
    return Check(f"group {name}", member, "member" if member else "not a member", hint, advice=name == "kvm")


def _space(folder: Path) -> Check:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_mb = shutil.disk_usage(there).free / 1e6
    ok = free_mb >= DISK_MB
    hint = "" if ok else f"{DISK_MB} MB are needed; free some, or choose other folders: HARNESS_CACHE, TMPDIR"
    return Check(f"space in {folder}", ok, f"{free_mb / 1000:.1f} GB free", hint)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
