"""`harness repeat` of a real run on a real machine."""

from __future__ import annotations

import json
import subprocess

from command_line import HARNESS
from real_campaign import LIMIT_S, Smoke

from harness.store import RunFolder, find_runs


def test_a_run_is_recorded_again_on_its_own_clock_and_compared(smoke: Smoke) -> None:
    runs, original = smoke.folder.path.parent, smoke.folder.path
    settings = ["--set", "model.predictors=[markov]", "--set", "trials.repeat=2"]
    command = [*HARNESS, "repeat", str(original), *settings, "--runs", str(runs), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode in (0, 1), ended.stderr
    (again,) = [RunFolder.open(run) for run in find_runs(runs) if run != original]
    result = json.loads(ended.stdout)
    assert result == json.loads((again.path / "repeat.json").read_text())
    assert (again.state, again.manifest["repeats"]["run"]) == ("done", original.name)
    for fact in ("clock", "cpu_speed", "accelerator", "box_digest"):
        assert again.manifest["machine"][fact] == smoke.folder.manifest["machine"][fact]
    guests = [run / "trials" / "000_nginx_ab" / "guest.json" for run in (original, again.path)]
    settings_there, settings_here = (json.loads(path.read_text())["kernel_settings"] for path in guests)
    assert settings_here == settings_there
    rows = {row["metric"]: row for row in result["metrics"]}
    assert {"requests/s", "slice p50", "markov: contested accuracy"} <= set(rows)
    if again.manifest["machine"]["clock"] == "counted":  # on the host's clock, other work can make it a third
        assert abs(rows["requests/s"]["difference"]) < 0.25 * rows["requests/s"]["first"]
