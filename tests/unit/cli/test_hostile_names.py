"""Every command shows a name as it is: on a terminal, no name colours, moves, hides or forges anything.

A name is that of a file, a task, a machine, a kernel, a run, an arm, a predictor or a recipe, or stands in an error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comparable_run
import hostile
import pytest
import typer
from boxes_on_disk import forge_box, use_empty_folders
from command_line import harness
from hostile import NAME, SHOWN, Terminal

from harness import doctor, machines
from harness.boxes import cache
from harness.cli import app
from harness.errors import MachineError
from harness.machines import registry
from model.files import sealed

pytestmark = pytest.mark.slow

RICH = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AK])|\r")  # its styles, and how it redraws a bar
LINE_FEED = re.compile(r"(\n  |\\n)F")  # in a name: a further line of a message, or as Python writes it
EXPERIMENT = "name: small\nquestion: {}\nmachine: {{box: debian-12}}\nload: {{kind: nginx_ab}}\n"


@dataclasses.dataclass
class Workshop:
    """Files whose names, and texts in them, are hostile."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / name

    @property
    def model(self) -> Path:
        return self.models / "markov_s0"


@pytest.fixture(scope="module")
def workshop(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A recording, its tables, text and models, runs and an experiment."""
    shop = Workshop(tmp_path_factory.mktemp("hostile") / NAME)
    shop.folder.mkdir()
    shop.recording.write_bytes(hostile.recording(raw.read_bytes()))
    harness("trace", "convert", shop.recording, "-o", shop.tables)
    harness("trace", "export", shop.recording, "--to", "perf-sched-map", "-o", shop.map)
    harness("train", shop.tables, "-p", "markov", "-p", "most_frequent", "-o", shop.models)
    shop.experiment.write_text(EXPERIMENT.format(json.dumps(NAME)))
    (shop.folder / "experiment.yaml").write_text(shop.experiment.read_text())
    for name in ("a", "b"):
        box = {"name": NAME, "fallback_reason": NAME, "asked": NAME}
        machine = {"kernel": f"{name} {NAME}", "accelerator": NAME}
        scores = {"markov": [[0.6], [0.7], [0.6]], f"x{NAME}"[:20]: [[0.6], [0.6], [0.6]]}
        comparable_run.make(
            *(shop.runs / name / NAME, (421.0, 120.0, 421.2), scores),
            arms=(f"1{NAME}", f"2{NAME}"), box=box, machine=machine, error=NAME, repeats={"run": NAME},
        )  # fmt: skip
    path = shop.runs / "b" / NAME / "manifest.json"
    manifest = json.loads(path.read_bytes())
    next(iter(manifest["steps"].values()))["outputs"] = {NAME: "ab" * 32}
    path.write_text(json.dumps(manifest))
    return shop


def calls(shop: Workshop) -> dict[str, list[tuple[list[Any], int, str]]]:
    """Every command with arguments, the exit code, and a text that it has to show; several calls of some."""
    gone = shop.folder / f"gone{NAME}"
    both = [shop.tables, "--model", shop.model]
    return {
        "run": [
            (["run", shop.folder / "experiment.yaml", "--dry-run"], 0, f"small  {SHOWN}"),
            (["run", gone, "--dry-run"], 2, f"gone{SHOWN}"),
            (["run", "smoke", "--dry-run", "--set", NAME], 2, SHOWN),
            (["run", "smoke", "--dry-run", "--set", f"machine.box={NAME}"], 2, SHOWN),
        ],
        "repeat": [
            (["repeat", shop.runs / "a" / NAME, "--with", shop.runs / "b" / NAME], 0, f"a {SHOWN[:8]}"),
            (["repeat", gone], 2, f"gone{SHOWN}"),
        ],
        "ls": [(["ls", "--runs", shop.runs / "a"], 0, SHOWN), (["ls", "--runs", gone], 2, f"gone{SHOWN}")],
        "show": [
            (["show", shop.runs / "a" / NAME], 0, f"! ran on the fallback {SHOWN}, not on {SHOWN}"),
            (["show", gone], 2, f"gone{SHOWN}"),
        ],
        "report": [
            (["report", shop.runs / "a" / NAME], 0, f"{SHOWN}/report/index.html"),
        ],
        "diff": [
            (["diff", shop.runs / "a" / NAME, shop.runs / "b" / NAME, "--all"], 1, SHOWN),
            (["diff", shop.runs / "a" / NAME, gone], 2, f"gone{SHOWN}"),
        ],
        "compare": [
            (["compare", shop.runs / "a" / NAME], 0, f"2{SHOWN}"),
            (["compare", shop.runs / "a" / NAME, "--arms", NAME, "x"], 2, SHOWN),
            (["compare", gone], 2, f"gone{SHOWN}"),
        ],
        "query": [
            (["query", "SELECT run, arm FROM arms", "--runs", shop.runs / "a"], 0, f"1{SHOWN}"),
            (["query", f'SELECT "{NAME}" FROM runs', "--runs", shop.runs / "a"], 2, "[red]x[b]:smile:"),
        ],
        "track": [
            (["track", gone], 2, f"gone{SHOWN}"),
            (["track", shop.runs / "a" / NAME, "--to", NAME], 2, "[red]x[b]:smile:"),
        ],
        "verify": [
            (["verify", shop.runs / "a" / NAME], 0, f"{SHOWN}: every file is as recorded"),
            (["verify", shop.runs / "b" / NAME], 1, SHOWN),
        ],
        "label": [(["label", shop.runs / "a" / NAME, "x"], 0, f"{SHOWN}: x")],
        "export": [
            (["export", shop.runs / "a" / NAME, shop.folder / "run.tar.gz"], 0, f"{SHOWN}/run.tar.gz: "),
            (["export", shop.runs / "b" / NAME, shop.folder / "bad.tar.gz"], 1, f"{SHOWN}: missing"),
        ],
        "clean": [(["clean", gone, "--yes"], 2, f"gone{SHOWN}")],
        "rm": [(["rm", gone], 2, f"gone{SHOWN}")],
        "down": [(["down"], 3, f"Remove {SHOWN}")],
        "box build": [(["box", "build", NAME], 2, SHOWN)],
        "box lock": [(["box", "lock", NAME], 2, SHOWN)],
        "box ls": [(["box", "ls"], 0, SHOWN)],
        "box verify": [(["box", "verify", "debian-12"], 1, SHOWN)],
        "box export": [(["box", "export", NAME, gone], 2, SHOWN)],
        "box import": [(["box", "import", gone], 2, f"gone{SHOWN}")],
        "box rm": [(["box", "rm", NAME], 2, SHOWN)],
        "box prune": [(["box", "prune", "--dry-run"], 0, "would remove")],
        "trace convert": [
            (["trace", "convert", shop.recording, "-o", shop.folder / "again"], 0, f"{SHOWN}/recording "),
            (["trace", "convert", gone, "-o", shop.folder / "again"], 2, f"gone{SHOWN}"),
        ],
        "trace summary": [
            (["trace", "summary", shop.recording], 0, "machine  [red]x[b]:smile:\\x0aFORGED"),
            (["trace", "summary", shop.recording], 0, r"\x1b[5mx"),
        ],
        "trace export": [
            (["trace", "export", shop.recording, "--to", "csv", "-o", shop.folder / "csv"], 0, f"{SHOWN}/csv"),
            (["trace", "export", shop.recording, "--to", NAME, "-o", shop.folder / "x"], 2, "[red]x[b]:smile:"),
        ],
        "trace import": [(["trace", "import", shop.map, "-o", shop.folder / "imported"], 0, f"{SHOWN}/imported")],
        "model export": [
            (["model", "export", shop.model, "-o", shop.folder / "c"], 0, f"{SHOWN}/c"),
            (["model", "export", gone, "-o", shop.folder / "c"], 2, f"gone{SHOWN}"),
        ],
        "model show": [(["model", "show", shop.model], 0, "markov")],
        "model compare": [
            (["model", "compare", shop.models, "markov", "most_frequent"], 0, "markov"),
            (["model", "compare", shop.models, NAME, "markov"], 1, SHOWN),
        ],
        "train": [
            (["train", shop.tables, "-p", "markov", "-o", shop.folder / "more"], 0, "markov"),
            (["train", gone, "-p", "markov", "-o", shop.folder / "more"], 2, f"gone{SHOWN}"),
            (["train", shop.tables, "-p", NAME, "-o", shop.folder / "more"], 2, "[red]x[b]:smile:"),
        ],
        "evaluate": [(["evaluate", *both], 0, "markov"), (["evaluate", shop.unsound, *both[1:]], 1, SHOWN)],
        "predict": [(["predict", *both], 0, r"\x1b[5mx"), (["predict", shop.tables, "--model", gone], 2, SHOWN)],
        "init": [(["init", shop.folder / "new.yaml"], 0, SHOWN), (["init", "--from", NAME], 2, "[red]x[b]:smile:")],
        "predictors": [(["predictors"], 0, "lstm"), (["predictors", NAME], 2, "[red]x[b]:smile:")],
        "help": [(["help", "ls"], 0, "--runs"), (["help", NAME], 2, "[red]x[b]:smile:")],
        "loads": [(["loads"], 0, "nginx_ab")],
        "schema": [(["schema"], 0, "nginx_ab")],
        "doctor": [(["doctor"], 3, SHOWN)],
    }


def commands(group: Any = None, before: str = "") -> Iterator[str]:
    """The names of all commands, as the program has them."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        yield from commands(command, f"{before}{name} ") if hasattr(command, "commands") else [before + name]


@pytest.fixture
def host(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide terminal, and a cache, a register and a host that have hostile names in them, too."""
    (tmp_path / NAME).mkdir()
    use_empty_folders(tmp_path / NAME, monkeypatch)
    monkeypatch.setenv("COLUMNS", "2000")
    monkeypatch.setenv("TERM", "xterm-256color")
    forge_box(cache.root())
    (cache.root() / ("0" * 64)).mkdir()
    (cache.root() / ("0" * 64) / "box.json").write_text(json.dumps({NAME: NAME}))
    left = [registry.Entry(NAME, "libvirt", str(tmp_path), 1, "", 0.0)]
    monkeypatch.setattr(machines, "left_behind", lambda: left)
    monkeypatch.setattr(machines, "remove", _stays)
    check = doctor.HostCheck(NAME, False, NAME, NAME)
    monkeypatch.setattr(doctor, "check_host", lambda: [check])
    if not workshop.unsound.exists():
        shutil.copytree(workshop.tables, workshop.unsound)
        path = workshop.unsound / "recording.json"
        facts = json.loads(path.read_bytes())
        quality = {**facts["quality"], "whole": False, "warnings": [NAME]}
        path.write_text(json.dumps(sealed({**facts, "quality": quality})))


def _stays(entry: registry.Entry) -> None:
    raise MachineError(NAME, where=entry.domain, hint=NAME)


def on_a_terminal(arguments: list[Any], code: int) -> str:
    """What a command writes to a terminal."""
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
        ended = _exit_code(arguments)
    assert ended == code, terminal.getvalue()
    return terminal.getvalue()


def _exit_code(arguments: list[Any]) -> Any:
    try:
        app([str(argument) for argument in arguments])
    except SystemExit as ended:
        return ended.code or 0


@pytest.mark.parametrize("command", list(commands()))
@pytest.mark.usefixtures("host")
def test_a_name_is_shown_as_it_is_and_does_nothing(command: str, workshop: Workshop) -> None:
    for arguments, code, words in calls(workshop)[command]:
        written = on_a_terminal(arguments, code)
        shown = RICH.sub("", written)
        assert words in LINE_FEED.sub(r"\\x0aF", shown)
        assert not set(shown) & set("\x1b\x07\x08\u202e\u200b😄")
        assert "\x1b[5m" not in written  # no style of rich's blinks here
        assert not [line for line in shown.splitlines() if line.startswith("FORGED")]


@pytest.mark.usefixtures("host")
def test_wrong_arguments_are_shown_as_they_are(workshop: Workshop) -> None:
    for arguments in ([NAME], ["trace", NAME], ["show", f"--{NAME}"], ["show", "a", NAME], ["down", NAME]):
        shown = RICH.sub("", on_a_terminal(arguments, 2))
        assert shown.startswith("error: ")
        assert "[red]x[b]:smile:" in shown
        assert not set(shown) & set("\x1b\x07\x08\u202e\u200b😄")
        assert len(shown.splitlines()) == 2


def test_a_folder_whose_name_is_no_utf8_can_be_used(tables: Path, raw: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    names = [folder / f"one{folder.name}", folder / "two"]
    for name in names:
        shutil.copytree(tables, name)
    harness("trace", "export", raw, "--to", "csv", "-o", folder / "csv")
    harness("train", *names, "-p", "markov", "-p", "slice_markov", "-o", folder / "models")
    by_recording = ["evaluate", *names, "-p", "markov", "--split", "recording"]
    assert r"one\xff\xfe" in harness(*by_recording).stdout
    assert "contested" in harness("predict", names[0], "--model", folder / "models" / "markov_s0").stdout
    assert "markov" in harness("model", "compare", folder / "models", "slice_markov", "markov").stdout
    made = [comparable_run.make(tmp_path / name, scores={"markov": [[0.6]] * 3}).path for name in ("a", "b")]
    runs = [run.rename(folder / run.name) for run in made]
    assert r"\xff\xfe/a/report/index.html" in harness("report", runs[0]).stdout
    assert "equal" in harness("repeat", runs[0], "--with", runs[1]).stdout


def test_a_defect_is_written_down_although_an_argument_is_no_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError(hostile.NAME)

    monkeypatch.setenv("HARNESS_STATE", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["harness", os.fsdecode(b"\xff")])
    monkeypatch.setattr(machines, "left_behind", broken)
    assert "a defect of harness: ZeroDivisionError" in harness("down", code=1).stderr
    assert next((tmp_path / "crashes").iterdir()).read_text().startswith(r"harness \xff")
