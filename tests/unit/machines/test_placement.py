"""The weight of a machine among others is raised where libvirt can, and where it cannot the fact says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machines import placement

REFUSED = "error: Requested operation is not valid: cgroup CPU controller is not mounted"


def virsh(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "virsh").write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\n{script}\n')
    (folder / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_weight_is_raised_of_the_running_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    virsh(tmp_path, "exit 0", monkeypatch)
    assert placement.raise_weight("harness-0-guest") == "not pinned; weight 10000 among the machines of libvirt"
    assert (tmp_path / "calls").read_text().endswith("schedinfo harness-0-guest --live --set cpu_shares=10000\n")


@pytest.mark.parametrize(
    ("output", "reason"), [(REFUSED, REFUSED.removeprefix("error: ")), ("", "virsh gave no reason")]
)
def test_where_libvirt_cannot_the_fact_says_why_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, reason: str
) -> None:
    virsh(tmp_path, f'echo "{output}"; exit 1', monkeypatch)
    fact = placement.raise_weight("harness-0-guest")
    assert fact == f"left alone: libvirt cannot weigh machines here ({reason})"
