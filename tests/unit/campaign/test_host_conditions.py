"""What trial.json keeps of the host on which a trial was recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path

from harness.campaign import host_conditions


def test_the_conditions_are_those_of_this_host_and_can_be_stored() -> None:
    found = host_conditions.read()
    assert found["kernel"] == os.uname().release
    assert json.loads(json.dumps(found)) == found
    folder = Path("/sys/devices/system/cpu/vulnerabilities")
    assert {path.name: path.read_text().rstrip("\n") for path in folder.glob("*")} == found["mitigations"]
    assert len(json.dumps(found)) < 4000
