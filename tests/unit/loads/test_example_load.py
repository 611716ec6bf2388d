"""The example package of docs/own_load.md, really installed: its load and its role are found, and the page shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import HARNESS, LIMIT_S
from locations import ROOT

pytestmark = pytest.mark.slow

EXAMPLE, PAGE = ROOT / "docs" / "example_load", ROOT / "docs" / "own_load.md"
PRINTED = """\
# /dev/cpu_dma_latency set to 0us
T: 0 ( 2494) P: 0 I:2000 C:   1472 Min:     26 Act:   78 Avg:  167 Max:    6097
T: 1 ( 2495) P: 0 I:2500 C:   1154 Min:     20 Act:   93 Avg:  229 Max:    5118
"""
LOOK = """
import json, sys
from pathlib import Path
from harness import boxes, plan, spec
from harness.boxes import provisioned, roles
from harness.campaign import needs
from harness.guest import provision
from harness.loads import KINDS, Timing
from harness.paths import data_dir
own = data_dir("ansible")
load = KINDS["cyclictest"](threads=8)
trial, *_ = plan.trials(spec.from_dict({"name": "x", "machine": {"box": "debian-12"}, "load": load.model_dump()}))
needed = needs.of([trial])
found = provision._find_roles(own, needed.roles)
parts = [{"kind": "cyclictest"}, {"kind": "idle"}]
print(json.dumps({
    "command": load.command(),
    "metrics": load.parse(sys.argv[1], Timing(1, 1.0, 2.0)),
    "roles": {role: str(path) for role, path in found.items()},
    "roles_path": provision._roles_path(own, found),
    "in_locks": roles.packages(boxes.recipe("debian-12"))["debian-12"],
    "keyed": provisioned.key("base", needed.roles) != provisioned.key("base", ("perf",)),
    "in_schema": "Cyclictest" in spec.schema()["$defs"],
    "swept": [arm.name for arm in plan.arms(spec.from_dict({
        "name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"},
        "sweep": {"load.kind": ["idle", "cyclictest"]}}))],
    "mixed": [part.kind for part in KINDS["mix"](parts=parts).parts] if "mix" in KINDS else ["cyclictest", "idle"],
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed in it."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(EXAMPLE)], check=True, timeout=LIMIT_S)
    return folder


def run(site: Path, *command: str, stdin: str = "") -> str:
    """Run a command with the package installed; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]), "COLUMNS": "120"}
    done = subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_load_has_its_role_packages_and_metrics_and_is_in_schema_sweeps_and_mixes(site: Path) -> None:
    seen = json.loads(run(site, sys.executable, "-c", LOOK, PRINTED))
    role = site / "example_load" / "roles" / "cyclictest"
    assert seen["command"] == ["cyclictest", "--quiet", "--threads=8", "--interval=1000", "--distance=500"]
    assert seen["metrics"] == {
        "wakeups": 2626,
        "latency_mean_ms": pytest.approx(0.19425, rel=1e-4),
        "latency_max_ms": 6.097,
    }
    assert seen["roles"] == {"perf": str(ROOT / "ansible" / "roles" / "perf"), "cyclictest": str(role)}
    assert seen["roles_path"] == f"{ROOT / 'ansible' / 'roles'}:{role.parent}"
    assert "rt-tests" in seen["in_locks"]
    assert seen["keyed"]
    assert seen["in_schema"]
    assert seen["swept"] == ["idle", "cyclictest"]
    assert seen["mixed"] == ["cyclictest", "idle"]


def test_its_example_file_is_planned(site: Path) -> None:
    assert "threads that sleep, and measure how late they wake" in run(site, *HARNESS, "loads", "cyclictest")
    example = run(site, *HARNESS, "loads", "cyclictest", "--example")
    planned = json.loads(run(site, *HARNESS, "run", "-", "--dry-run", "--json", stdin=example))
    assert planned["trials"][0]["name"] == "000_cyclictest"


def test_it_keeps_the_contract_of_every_load(site: Path) -> None:
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cyclictest"]
    printed = run(site, *pytest_, "tests/contract/test_load.py")
    assert " passed" in printed
    assert "deselected" in printed


def test_the_page_shows_every_file_of_the_package() -> None:
    page = PAGE.read_text("utf-8")
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) == 4
    for path in files:
        assert f"\n{path.read_text('utf-8')}```\n" in page, path.name
