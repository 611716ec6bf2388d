"""What is installed: the data folders are found, and the projects this one drives are not shadowed by them."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from command_line import LIMIT_S
from locations import ROOT

from harness import paths

ELSEWHERE = "import sys, vagrant, ansible, ansible_runner; print(vagrant.Vagrant, vagrant.__file__, ansible.__file__)"
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def python(code: str, cwd: Path, path: Path | None = None) -> str:
    """What `code` prints in a fresh interpreter that starts in `cwd`, with `path` as the only extra import path."""
    environment = {"PATH": "/usr/bin:/bin", **({"PYTHONPATH": str(path)} if path else {})}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT, check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return next(out.glob("harness-*.whl"))


def test_from_the_checkout_the_installed_vagrant_and_ansible_are_imported() -> None:
    printed = python(ELSEWHERE, ROOT)
    assert "vagrant.Vagrant" in printed
    assert f"{ROOT}/vagrant" not in printed
    assert f"{ROOT}/ansible/" not in printed


def test_the_data_folders_hold_no_python_that_could_shadow_a_package() -> None:
    for name in ("vagrant", "ansible", "experiments"):
        assert list((ROOT / name).glob("*.py")) == []


def test_a_checkout_finds_its_data_folders() -> None:
    for name in ("vagrant", "ansible", "experiments"):
        assert paths.data_dir(name) == ROOT / name


def test_the_wheel_carries_the_data_folders_inside_the_package_and_nothing_beside_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"harness", "model"}
    for needed in ("vagrant/Vagrantfile", "ansible/site.yml", "experiments/nginx_ab.yaml", "experiments/smoke.yaml"):
        assert f"harness/_data/{needed}" in names
    for folder in ("vagrant", "ansible", "experiments"):
        files = {f"harness/_data/{path}" for path in tracked(folder)}
        assert files <= set(names)


def test_the_wheel_works_from_any_folder_and_shadows_nothing(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    found = python(
        "from harness import paths as r; print(*map(r.data_dir, ['vagrant', 'ansible', 'experiments']))",
        tmp_path,
        site,
    )
    assert found.split() == [f"{site}/harness/_data/{name}" for name in ("vagrant", "ansible", "experiments")]
    assert str(site) not in python(ELSEWHERE, tmp_path, site)


def test_every_dependency_says_why_it_is_there_and_is_pinned_by_the_constraints() -> None:
    lists = re.findall(r"^(?:dependencies|test|boosting|perfetto) = \[.*?\][^\n]*", PYPROJECT, re.MULTILINE | re.DOTALL)
    dependencies = re.findall(r'"([A-Za-z0-9.-]+)[^"]*",? *\]? *(#.*)?$', "\n".join(lists), re.MULTILINE)
    pinned = re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert len(dependencies) > 25
    for name, why in dependencies:
        assert why, f"{name} is not explained"
        assert name.lower().replace(".", "-") in pinned, f"{name} is not pinned"


def test_the_constraints_name_no_package_of_a_gpu_and_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"^(nvidia|cuda|triton)", text, re.MULTILINE)
    assert "://" not in text


def tracked(folder: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    return listed.stdout.split()
