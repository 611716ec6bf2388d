"""Commands that are killed at random moments leave nothing for good. Which moment it was decides nothing here."""

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
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_command_leaves_nothing_for_good(prepared: kills.Kills, command: str, seed: int) -> None:
    assert prepared.kill_once(command, seed).problems == []


@pytest.mark.parametrize("command", PROGRAMS)
def test_a_killed_command_leaves_no_program_and_no_worker(prepared: kills.Kills, command: str) -> None:
    assert prepared.kill_once(command, 1).problems == []
