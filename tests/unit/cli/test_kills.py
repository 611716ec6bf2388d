"""Commands that are killed leave nothing for good, whichever moment it was; `make chaos-part` kills all of them."""

from __future__ import annotations

import kills
import pytest

pytestmark = pytest.mark.slow
QUICK = ("convert", "convert packed", "export csv", "export perfetto", "import", "report", "verify", "box export", "ls")
PROGRAMS = ("box build", "evaluate a table")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> kills.Kills:
    return kills.Kills(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize("command", QUICK)
def test_a_killed_command_leaves_nothing_for_good(prepared: kills.Kills, command: str) -> None:
    assert prepared.kill_once(command, 0).problems == []


@pytest.mark.parametrize("command", PROGRAMS)
def test_a_killed_command_leaves_no_program_and_no_worker(prepared: kills.Kills, command: str) -> None:
    assert prepared.kill_once(command, 1).problems == []
