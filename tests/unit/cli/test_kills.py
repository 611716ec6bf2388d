"""Commands that are killed at random moments leave nothing for good. Which moment it was decides nothing here."""

from __future__ import annotations

import kills
import pytest

pytestmark = pytest.mark.slow
QUICK = ("convert", "convert packed", "export csv", "export perfetto", "import", "report", "verify", "box export", "ls")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> kills.Kills:
    return kills.Kills(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize("command", QUICK)
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_command_leaves_nothing_for_good(prepared: kills.Kills, command: str, seed: int) -> None:
    assert prepared.kill_once(command, seed).problems == []


def test_training_that_is_killed_leaves_no_worker_and_no_model_of_an_evaluation(prepared: kills.Kills) -> None:
    assert prepared.kill_once("evaluate a table", 1).problems == []
