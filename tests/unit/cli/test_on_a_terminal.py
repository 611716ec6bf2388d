"""The bytes that reach a real terminal: whatever a guest, a manifest or an error says, only rich itself commands it."""

from __future__ import annotations

import re
from pathlib import Path

import hostile
import pytest
from terminal import on_a_terminal

from harness.visible import visible_lines

pytestmark = pytest.mark.slow

NAME = f"{hostile.NAME}\x1b]52;c;aGFja2Vk\x07\x9b31m\x90\r\x7f\u2066\u2028\x1b[1;1H"
RICH = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AK])|\r\n|\r(?=\x1b\[|$|\n)")  # styles, and a redrawn bar
HARNESS = ["-c", "from harness.cli.main import main; main()"]
TRIAL = """
import sys
from contextlib import suppress
from pathlib import Path

import typer
from fake_host import FakeHost, carry_out
from harness.cli.output import Output, handled
from harness.errors import GuestError
from harness.guest.ansible_events import AnsibleEvents

name, folder = ascii_name, Path(sys.argv[1])

@handled
def trial():
    view = Output().view()
    with view.step("provision", f"Install on {name}") as watcher:
        events = AnsibleEvents(watcher, folder / "provision.log", 1)
        events.on_event({"event": "playbook_on_task_start", "stdout": name, "event_data": {"task": name}})
        result = {"msg": name, "stdout_lines": [name], "ansible_facts": {"ansible_kernel": name}}
        failure = {"task": name, "host": name, "res": result}
        events.on_event({"event": "runner_on_failed", "stdout": name, "event_data": failure})
        view.show("warn", str(events.error()))
    host = FakeHost()
    host.written = f"boot {name}"
    host.result.update(ok=False, stage=name, error=name)
    with view.step("trial", f"Record {name}") as watcher:
        watcher.note(name)
        try:
            carry_out(host, folder / "trial", watcher=watcher)
        except GuestError as error:
            view.show("warn", f"{name}: {error}")
            raise

with suppress(typer.Exit):
    trial()
"""


def require_harmless(written: str) -> None:
    """Nothing but text remains without the commands of rich, and no line that a name has forged."""
    assert "\x1b[5m" not in written  # no style of rich's blinks here
    shown = RICH.sub("\n", written)
    commands = {character for character in shown if not character.isprintable() and character != "\n"}
    assert not commands, ascii(shown)
    assert not [line for line in shown.splitlines() if line.startswith("FORGED")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "run"
    folder.mkdir()
    return hostile.run(folder, NAME)


@pytest.mark.parametrize("command", [["show"], ["report"], ["verify"], ["ls", "--runs"], ["show", "--json"]])
def test_a_hostile_run_commands_no_terminal(command: list[str], run: Path) -> None:
    folder = run.parent if command[0] == "ls" else run
    written = on_a_terminal([*HARNESS, *command, str(folder)])
    assert "FORGED" in written or "index.html" in written
    assert "a defect of harness" not in written
    require_harmless(written)


def test_a_hostile_guest_commands_no_terminal_while_it_is_recorded(tmp_path: Path) -> None:
    script = TRIAL.replace("ascii_name", ascii(NAME))
    written = on_a_terminal(["-c", script, str(tmp_path)])
    assert "FORGED" in written
    assert "Traceback" not in written
    require_harmless(written)
    for log in (tmp_path / "provision.log", tmp_path / "trial" / "console.log"):
        assert visible_lines(log.read_text()) == log.read_text()  # whose lines are the guest's own
