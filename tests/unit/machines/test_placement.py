"""The weight of a machine among others is raised moderately where libvirt can; where it cannot the fact says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machines import placement

REFUSED = "error: Requested operation is not valid: cgroup CPU controller is not mounted"
SHOWN = "Scheduler      : posix\\ncpu_shares     : {weight}\\nvcpu_quota     : -1\\n"
SHOW = f"case $* in *--set*) {{then}} ;; *) printf '{SHOWN}' ;; esac"


def virsh(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "virsh").write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\n{script}\n')
    (folder / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def cgroup(folder: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "CGROUP_V2", folder / "cgroup.controllers")
    if version == 2:
        (folder / "cgroup.controllers").touch()


@pytest.mark.parametrize(
    ("version", "own", "raised"),
    [(1, 1024, 10240), (1, 100_000, 262_144), (2, 100, 1000), (2, 2000, 10_000), (2, 20_000, 20_000)],
)
def test_the_weight_is_raised_by_a_factor_of_the_machines_own_and_never_above_what_the_controller_takes(
    version: int, own: int, raised: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroup(tmp_path, version, monkeypatch)
    virsh(tmp_path, SHOW.format(weight=own, then="exit 0"), monkeypatch)
    assert placement.raise_weight("harness-0-guest", "host") == (
        f"not pinned; weight {raised} instead of {own} among the machines of libvirt (cgroup v{version})"
    )
    assert (tmp_path / "calls").read_text().endswith(f"schedinfo harness-0-guest --live --set cpu_shares={raised}\n")


def test_a_machine_on_the_counted_clock_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    virsh(tmp_path, "exit 0", monkeypatch)
    assert placement.raise_weight("harness-0-guest", "counted").startswith("left alone: what a machine on the counted")
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize(
    ("output", "reason"), [(REFUSED, REFUSED.removeprefix("error: ")), ("", "virsh gave no reason")]
)
def test_where_libvirt_cannot_the_fact_says_why_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, reason: str
) -> None:
    virsh(tmp_path, SHOW.format(weight=1024, then=f'echo "{output}"; exit 1'), monkeypatch)
    fact = placement.raise_weight("harness-0-guest", "host")
    assert fact == f"left alone: libvirt cannot weigh machines here ({reason})"
    virsh(tmp_path, f'echo "{output}"; exit 1', monkeypatch)
    fact = placement.raise_weight("harness-0-guest", "host")
    assert fact == f"left alone: libvirt does not show its weight ({reason})"
