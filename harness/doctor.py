"""`harness doctor`: what this host has and lacks. Each function checks one part and returns its HostChecks."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import boxes, paths, processes
from harness.boxes import builder, cache, rootfs
from harness.errors import HarnessError, HostError, MissingExtraError
from harness.extras import EXTRA_OF, MODULES, install_command
from harness.spec import MachineSpec
from harness.trace.native import library

if TYPE_CHECKING:
    from harness.machines.libvirt import Service

SET_UP = "./setup.sh of a checkout installs and starts what is missing"
PROGRAMS = ("vagrant", "virsh", "qemu-img", "qemu-system-x86_64", "mmdebstrap", "ssh-keygen", "setpriv", "zstd")
PACKAGES = ("pyarrow", "pandas", "pydantic", *EXTRA_OF)
ADVISED = ("boosting", "graph", "perfetto", "tracking")  # extras that a run works without
GROUPS = ("libvirt", "kvm")
DISK_MB = 5000  # a box, its copy in the libvirt pool, and a campaign's recordings
LIMIT_S = 120.0  # for a Vagrant that starts in 2 s on a quiet host


@dataclass(frozen=True)
class HostCheck:
    """The result of one check. `hint` says what to do when it is not `ok`; a run also works when `advice` is not ok."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    advice: bool = False


def check_host() -> list[HostCheck]:
    """Run every check, the most important first. A check that raises an error becomes a HostCheck that is not ok."""
    parts: list[tuple[str, Callable[[], Iterable[HostCheck]]]] = [
        ("programs", programs),
        ("python packages", python_packages),
        ("compiled trace engine", trace_engine),
        ("libvirt", libvirt_parts),
        ("groups", groups),
        ("disk space", disk_space),
        ("keyrings", keyrings),
        ("boxes", built_boxes),
        ("kvm", kvm_result),
        ("guest's clock", guests_clock),
    ]
    return [check for name, find_checks in parts for check in _safely(name, find_checks)]


def programs(names: Iterable[str] = PROGRAMS) -> list[HostCheck]:
    """Find each program; where Vagrant is installed, find its libvirt plug-in as well."""
    checks = [_program(name) for name in names]
    return [*checks, _vagrant_plugin()] if shutil.which("vagrant") else checks


def python_packages(names: Iterable[str] = PACKAGES) -> list[HostCheck]:
    """Find the version of each Python package that the harness needs, and of those that only some commands need."""
    return [_package(name) for name in names]


def trace_engine() -> list[HostCheck]:
    """Check that the compiled code that reads recordings can be loaded."""
    try:
        library.load_functions({})
    except HostError as error:
        return [HostCheck("compiled trace engine", False, error.what, error.hint or "")]
    return [HostCheck("compiled trace engine", True, str(library.LIBRARY))]


def libvirt_parts() -> list[HostCheck]:
    """Check that libvirtd answers and that its network and its pool are active."""
    from harness.machines import libvirt  # here and below, because a host that only reads recordings lacks its packages

    return [_service(service, libvirt.hypervisor_version) for service in libvirt.services()]


def groups() -> list[HostCheck]:
    """Check that this process is in the groups that may use libvirt and KVM; root needs neither."""
    if os.getuid() == 0:
        return [HostCheck("groups", True, "root")]
    import grp

    mine = {group.gr_name for group in grp.getgrall() if group.gr_gid in os.getgroups()}  # some ids have no name
    return [_group(name, name in mine) for name in GROUPS]


def disk_space() -> list[HostCheck]:
    """Check the free space where boxes are built and kept."""
    return [_space(folder) for folder in (paths.cache_dir(), builder.scratch_root())]


def keyrings() -> list[HostCheck]:
    """Check for every recipe that its suite can be verified; advice, because one recipe is enough for a run."""
    checks = []
    for name in boxes.names():
        try:
            detail, ok, hint = str(rootfs.keyring(boxes.recipe(name))), True, ""
        except HarnessError as error:
            detail, ok, hint = error.what, False, error.hint or ""
        checks.append(HostCheck(f"box {name} can be built", ok, detail, hint, advice=True))
    return checks


def built_boxes() -> list[HostCheck]:
    """List the boxes in the cache; those of an older recipe or builder, and damaged ones, are not ok."""
    damaged = [
        HostCheck(f"box {one.short_name}", False, one.why, f"harness box rm {one.short_name}", advice=True)
        for one in cache.damaged()
    ]
    return [*map(_built, cache.ls()), *damaged]


def kvm_result() -> list[HostCheck]:
    """Return the result of the last real boot under KVM. Without KVM a run works too, ten times slower."""
    from harness.machines import kvm

    probed = kvm.remembered(None)
    if probed is None:
        return [HostCheck("kvm", False, "not tried yet", "the first run finds out", advice=True)]
    hint = "" if probed.works else "machines are emulated (TCG): slower, and with other timing than a real CPU"
    return [HostCheck("kvm", probed.works, probed.reason, hint, advice=True)]


def guests_clock() -> list[HostCheck]:
    """Return the clock of a machine with one CPU and without `machine.clock` here."""
    from harness.machines import guest_clock, kvm

    probed = kvm.remembered(None)
    accelerator = "kvm" if probed and probed.works else "tcg"
    clock = guest_clock.choose(MachineSpec(box=boxes.names()[0]), accelerator)
    speed = f", {clock.cpu_speed} instructions/us" if clock.cpu_speed else ""
    unsure = "" if probed else ", unless the first run finds that KVM works"
    return [HostCheck("guest's clock", True, f"{clock.kind}{speed}: {clock.reason}{unsure}")]


def _built(cached: boxes.CachedBox) -> HostCheck:
    box, wrong = cached.box, cache.wrong_sizes(cached.box.folder)
    detail = f"{cached.size_mb:.0f} MB, kernel {box.kernel}, digest {box.digest[:12]}{', locked' if box.lock else ''}"
    hint = "no run uses it any more: its recipe, its lock or the builder changed; `harness box prune` removes it"
    if cached.current is None:
        hint = "whether runs use it is unknown: its recipe or its lock is wrong; `harness box ls` says how"
    if wrong:
        hint = f"damaged: {wrong[0]}; `harness box rm {box.name}` removes it"
    return HostCheck(f"box {box.name} is built", bool(cached.current) and not wrong, detail, hint, advice=True)


def _safely(name: str, find_checks: Callable[[], Iterable[HostCheck]]) -> list[HostCheck]:
    try:
        return list(find_checks())
    except ModuleNotFoundError as missing:
        if missing.name not in MODULES:
            raise
        error: HarnessError = MissingExtraError(*MODULES[missing.name])
        return [HostCheck(name, False, error.what, error.hint or SET_UP)]
    except HarnessError as error:
        return [HostCheck(name, False, error.what, error.hint or SET_UP)]
    except OSError as error:
        return [HostCheck(name, False, str(error), SET_UP)]


def _program(name: str) -> HostCheck:
    path = shutil.which(name)
    return HostCheck(name, path is not None, path or "not installed", "" if path else SET_UP)


def _vagrant_plugin() -> HostCheck:
    answer = processes.run(["vagrant", "plugin", "list"], timeout_s=LIMIT_S)
    if answer.timed_out:
        detail = f"unknown: `vagrant plugin list` was not done after {answer.seconds:.0f} s"
        return HostCheck("vagrant-libvirt", False, detail, "try again when the host is less busy")
    match = re.search(r"^vagrant-libvirt \(([^,)]+)", answer.output, re.M)
    version = match.group(1) if match else "not installed"
    return HostCheck("vagrant-libvirt", match is not None, version, "" if match else SET_UP)


def _service(service: Service, version: Callable[[], str]) -> HostCheck:
    if not service.ok:
        return HostCheck(service.name, False, service.last_line, SET_UP)
    return HostCheck(service.name, True, version() if service.name == "libvirtd" else "active")


def _package(name: str) -> HostCheck:
    try:
        return HostCheck(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        extra = EXTRA_OF.get(name)
        hint = install_command(extra) if extra else SET_UP
        return HostCheck(name, False, "not installed", hint, advice=extra in ADVISED)


def _group(name: str, member: bool) -> HostCheck:
    hint = "" if member else f"sudo usermod -aG {name} $USER, then log in again"
    return HostCheck(f"group {name}", member, "member" if member else "not a member", hint, advice=name == "kvm")


def _space(folder: Path) -> HostCheck:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_mb = shutil.disk_usage(existing).free / 1e6
    ok = free_mb >= DISK_MB
    hint = "" if ok else f"{DISK_MB} MB are needed; free some, or choose other folders: HARNESS_CACHE, TMPDIR"
    return HostCheck(f"space in {folder}", ok, f"{free_mb / 1000:.1f} GB free", hint)
