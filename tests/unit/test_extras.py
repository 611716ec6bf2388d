"""What a missing extra leads to: a command that installs this project's own packages, never a stranger's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from command_line import LIMIT_S
from locations import ROOT

from harness.errors import EXIT_HOST, MissingExtraError
from harness.extras import MODULES
from model.errors import MissingLibraryError
from model.predictors import EXTRAS

# The name `harness` on the index belongs to another project, and ours has no release there: only a path is safe.
STRANGER = re.compile(
    r"(?<![\w./-])harness\[[a-z]"
    r"|pip3? install [^\n`]*(?<![\w./@-])(?:harness|sched-harness)(?:\[[a-z,]+\])?(?![\w./-]|\[| @ )"
)
WRONG = [
    "pip install harness",
    "pip install -U 'harness[run]'",
    "python -m pip install sched-harness",
    "pip install 'sched-harness[run]'",
    "install the extra `harness[boosting]`",
]
RIGHT = [
    "pip install -e '.[run]'",
    "pip install 'dist/sched_harness-0.3.0-py3-none-linux_x86_64.whl[run]'",
    "pip install 'sched-harness[run] @ file:///home/me/sched_harness-0.3.0-py3-none-linux_x86_64.whl'",
    "pip install -e /home/me/harness",
    "pip install -e . in the environment that runs `harness`",
]


def test_the_forms_that_fetch_another_project_are_told_from_those_that_do_not() -> None:
    assert all(STRANGER.search(text) for text in WRONG)
    assert not [text for text in RIGHT if STRANGER.search(text)]


def test_no_file_tells_anybody_to_install_the_other_project_of_this_name() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    texts = {
        name: (ROOT / name).read_text("utf-8", "ignore") for name in listed.stdout.split() if (ROOT / name).is_file()
    }
    found = {name: STRANGER.findall(text) for name, text in texts.items() if name != "tests/unit/test_extras.py"}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_missing_extra_is_a_lack_of_this_host_and_names_the_command_that_installs_it_from_this_checkout() -> None:
    error = MissingExtraError("perfetto", "perfetto", where="--to perfetto")
    assert error.exit_code == EXIT_HOST
    assert str(error).splitlines()[0] == "--to perfetto: perfetto is not installed: it comes with the extra perfetto"
    assert error.hint is not None
    assert shlex.split(error.hint) == [sys.executable, "-m", "pip", "install", "-e", f"{ROOT}[perfetto]"]


def test_the_packages_of_predictors_are_named_in_the_same_words_with_model_alone() -> None:
    for predictor, (module, extra, package) in EXTRAS.items():
        assert MODULES[module] == (extra, package)
        with_harness = str(MissingExtraError(extra, package, where=f"predictor {predictor}"))
        assert str(MissingLibraryError(predictor, extra, package)) == with_harness.splitlines()[0]
