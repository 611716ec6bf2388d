"""What is installed without extras reads recordings, counts, and shows and checks runs; the rest names its extra.

One process runs all commands. Its import system, and that of its workers, finds no package that comes with an extra.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys

import pytest
from command_line import LIMIT_S
from locations import DATA, HELPERS, ROOT
from written_before import RUN, unpack

from harness.extras import MODULES

pytestmark = pytest.mark.slow

WORKS = {
    "--help": "Usage",
    "--version": "harness ",
    "loads": "nginx_ab",
    "schema": '"Experiment"',
    "trace convert perf.data -o tables": "slices.parquet",
    "trace summary perf.data": "32,774 samples",
    "trace export perf.data --to csv -o csv": "switches.csv",
    f"show {RUN}": "markov",
    f"verify {RUN}": "every file is as recorded",
    f"report {RUN}": "index.html",
    "ls --runs .": RUN,
    "train tables --predictor markov --out trained": "markov",
    "predict tables --model trained/markov_s0": "",
}
NEEDS = {
    "trace export perf.data --to perfetto -o x.pftrace": "perfetto",
    "evaluate tables --predictor lstm": "model",
    "evaluate tables --predictor decision_tree": "model",
    "evaluate tables --predictor gradient_boosting": "boosting",
    "run smoke --set model.predictors=[markov]": "run",
    "run nginx_ab": "model",
    f"track {RUN}": "tracking",
    "down": "run",
}
OWN = {"HARNESS_STATE": "state", "HARNESS_CACHE": "cache", "HARNESS_RUNS": "."}
SCRIPT = """
import json, sys
from importlib.machinery import PathFinder

class Without:
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in BLOCKED else PathFinder.find_spec(name, path, target)

BLOCKED = set(json.loads(sys.argv[1])) if __name__ == "__main__" else set(json.load(open("blocked.json")))
sys.meta_path[sys.meta_path.index(PathFinder)] = Without

if __name__ == "__main__":
    from typer.testing import CliRunner
    from harness.cli import app

    json.dump(sorted(BLOCKED), open("blocked.json", "w"))
    done = {}
    for command in json.loads(sys.argv[2]):
        result = CliRunner().invoke(app, command.split())
        done[command] = result.exit_code, result.output
    print(json.dumps(done))
    print(*BLOCKED & set(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Return the exit code and the output of each command."""
    folder = unpack(tmp_path_factory.mktemp("base"))
    recording = DATA / "debian12_guest_nginx_ab.perf.data.xz"
    (folder / "perf.data").write_bytes(lzma.decompress(recording.read_bytes()))
    (folder / "commands.py").write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, "commands.py", json.dumps([*MODULES, "ansible", "yaml"]), json.dumps([*WORKS, *NEEDS])],
        cwd=folder, env={**os.environ, "PYTHONPATH": f"{ROOT}:{HELPERS}", **OWN},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1:] in ([], [""]), ended.stderr  # no package of an extra was imported
    return {command: (code, output) for command, (code, output) in json.loads(ended.stdout).items()}


@pytest.mark.parametrize("command", WORKS)
def test_a_command_that_reads_counts_or_shows_needs_no_extra(command: str, done: dict[str, tuple[int, str]]) -> None:
    code, output = done[command]
    assert code == 0, output
    assert WORKS[command] in output


@pytest.mark.parametrize("command", NEEDS)
def test_a_command_that_needs_an_extra_says_at_once_which_and_how_it_is_installed(
    command: str, done: dict[str, tuple[int, str]]
) -> None:
    code, output = done[command]
    assert code == 3, output
    assert f"it comes with the extra {NEEDS[command]}" in output.replace("\n", " ")
    assert f"-m pip install -e '{ROOT}[{NEEDS[command]}]'" in output


def test_every_module_that_may_be_missing_is_of_a_package_in_the_extra_that_it_is_said_to_come_with() -> None:
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    extras = ProjectMetadata(str(ROOT), PluginManager()).core.optional_dependencies
    for extra, package in MODULES.values():
        assert any(text.startswith(package) for text in extras[extra]), package
        in_all = any(text.startswith(package) for text in extras["all"])
        assert in_all != (extra == "tracking"), package  # for those who have MLflow: it brings many packages
