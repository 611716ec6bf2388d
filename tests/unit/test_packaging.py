"""The installed package: the data folders are found, and the projects this one drives are not shadowed by them."""

from __future__ import annotations

import lzma
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from command_line import LIMIT_S
from locations import DATA, ROOT

from harness import paths

pytestmark = pytest.mark.slow

ELSEWHERE = "import sys, vagrant, ansible, ansible_runner; print(vagrant.Vagrant, vagrant.__file__, ansible.__file__)"
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def python(code: str, cwd: Path, path: Path | None = None) -> str:
    """Return what `code` prints in a fresh interpreter in `cwd`; `path` is the only extra import path."""
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
    done = pip("wheel", "--wheel-dir", str(out), str(ROOT))
    assert done.returncode == 0, done.stderr
    (made,) = out.iterdir()
    return made


def pip(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pip offline, with the build tools that are installed here."""
    command, *rest = arguments
    return subprocess.run(
        [sys.executable, "-m", "pip", command, "--no-deps", "--no-index", "--no-build-isolation", *rest],
        env=os.environ | environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


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


READ = "import sys, harness.trace; print(harness.trace.read(sys.argv[1]).quality.counts['sched:sched_switch'])"


HINT = "from harness.errors import MissingExtraError; print(MissingExtraError('perfetto', 'perfetto').hint)"


def test_the_wheel_fits_this_platform_and_any_python_and_reads_a_recording_without_a_compiler(
    wheel: Path, tmp_path: Path
) -> None:
    version = r"[0-9.]+(dev[0-9]+(\+g[0-9a-f]+(\.dirty)?)?)?"
    assert re.fullmatch(rf"sched_harness-{version}-py3-none-linux_\w+\.whl", wheel.name)
    venv.create(tmp_path / "bare", with_pip=False)  # without numpy and pyarrow too: reading needs neither
    python = tmp_path / "bare" / "bin" / "python"
    installed = pip("install", "--ignore-installed", "--prefix", str(tmp_path / "bare"), str(wheel))
    assert installed.returncode == 0, installed.stderr
    recording = tmp_path / "perf.data"
    recording.write_bytes(lzma.decompress((DATA / "nginx_ab_one_cpu.perf.data.xz").read_bytes()))
    command = [str(python), "-I", "-c", READ, str(recording)]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("5756\n", "")
    done = subprocess.run([str(python), "-I", "-c", HINT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{python} -m pip install 'perfetto>=0.9'\n", "")


def test_an_installation_from_source_without_a_compiler_says_in_one_line_what_to_install(tmp_path: Path) -> None:
    done = pip("install", "--target", str(tmp_path / "site"), str(ROOT), PATH="/nowhere", CC="")
    assert done.returncode == 1
    assert "harness needs a C compiler, and there is no `cc`: sudo apt-get install gcc libc6-dev" in done.stderr
    assert "[1 lines of output]" in done.stderr


def test_the_source_distribution_carries_what_a_wheel_is_built_from(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=LIMIT_S)
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    assert {"hatch_build.py", "pyproject.toml", *tracked("harness"), *tracked("model")} <= names
    assert not any(name.endswith(".so") for name in names)


def test_every_dependency_says_why_it_is_there() -> None:
    lists = re.findall(
        r"^(?:dependencies|run|model|boosting|perfetto|graph|docs|test) = \[.*?\][^\n]*",
        PYPROJECT,
        re.MULTILINE | re.DOTALL,
    )
    dependencies = re.findall(r'"([A-Za-z0-9.-]+)[^"]*",? *\]? *(#.*)?$', "\n".join(lists), re.MULTILINE)
    assert len(dependencies) > 25
    for name, why in dependencies:
        assert why, f"{name} is not explained"


def tracked(folder: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    return listed.stdout.split()
