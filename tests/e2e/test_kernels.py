"""Kernels that a box gets: of another suite, as a package, and as an image with its modules; each boots and records.

The package is that of an older kernel of the same release, so that its modules are not those of the box's own kernel.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from command_line import harness as command
from real_campaign import harness

from harness.store import RunFolder, find_runs

pytestmark = pytest.mark.long

EXPERIMENT = """
name: kernels
machine: {box: debian-12}
load: {kind: command, run: "while :; do :; done & while :; do sleep 0.005; done", stop_signal: SIGTERM}
record: {warmup_s: 1, seconds: 2}
trials: {repeat: 1, order: listed}
verdict: {max_host_share: 1}
sweep:
  machine.kernel:
  - {suite: bookworm-backports, package: linux-image-cloud-amd64}
  - {deb: DEB}
  - {image: tree/boot/vmlinuz-RELEASE, modules: tree}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of an older kernel, and beside it the tree that it holds."""
    folder = tmp_path_factory.mktemp("package")
    pattern = r"^linux-image-6\.1\.0-[0-9]+-cloud-amd64$"
    known = subprocess.run(
        ["apt-cache", "search", "--names-only", pattern], check=True, capture_output=True, text=True
    ).stdout.split()
    names = sorted(filter(re.compile(pattern).match, known), key=lambda name: int(name.split("-")[3]))
    subprocess.run(["apt-get", "download", "-q", names[-2]], check=True, cwd=folder, capture_output=True)
    (path,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", path, folder / "tree"], check=True)
    return path


@pytest.fixture(scope="module")
def run(package: Path) -> RunFolder:
    release = package.name.removeprefix("linux-image-").partition("_")[0]
    path = package.parent / "kernels.yaml"
    path.write_text(EXPERIMENT.replace("DEB", package.name).replace("RELEASE", release))
    assert harness("run", str(path), "--runs", str(package.parent / "runs")).end() == 0
    (folder,) = find_runs(package.parent / "runs")
    return RunFolder.open(folder)


def test_each_kernel_is_the_one_that_the_guest_reports_and_the_report_names_it(run: RunFolder, package: Path) -> None:
    release = package.name.removeprefix("linux-image-").partition("_")[0]
    arms = run.manifest["arms"]
    kernels = {name.partition("kernel-")[2]: arm["machine"]["kernel"] for name, arm in arms.items()}
    assert len(kernels) == 3
    backports = kernels.pop("bookworm-backports-cloud-amd64")
    assert [*kernels.values()] == [release, release]
    assert not backports.startswith("6.1.")
    page = (run.path / "report" / "index.html").read_text("utf-8")
    for name, arm in arms.items():
        guest = json.loads(next(run.path.glob(f"trials/*_{name}/guest.json")).read_text("utf-8"))
        assert guest["facts"]["kernel"] == arm["machine"]["kernel"] == arm["box"]["kernel"]
        assert arm["box"]["kernel_source"]
        assert arm["machine"]["kernel"] in page


def test_a_repetition_has_the_same_kernels(run: RunFolder) -> None:
    assert "the same box" in command("repeat", run.path, "--dry-run").stdout
