"""An editor finds the schema of experiment files, and the schema is the one that `harness schema` prints."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from locations import EXPERIMENTS, ROOT

from harness import spec
from harness.spec.schema_line import FILE, START

STORED = json.loads((EXPERIMENTS / FILE).read_text("utf-8"))


def target(text: str, folder: Path) -> Path:
    """The file that the first line leads to, for a file in `folder`."""
    address = urlsplit(text.partition("\n")[0].removeprefix(START))
    assert address.scheme in ("", "file")
    return folder / unquote(address.path)


def test_the_stored_schema_is_the_one_that_is_printed() -> None:
    assert json.loads(json.dumps(spec.schema())) == STORED, f"harness schema > experiments/{FILE}"
    assert STORED["$id"].startswith("urn:")  # no address that somebody could fetch


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_experiment_leads_to_the_schema_and_has_numbers_as_an_editor_reads_them(path: Path) -> None:
    text = path.read_text("utf-8")
    assert target(text, EXPERIMENTS).samefile(EXPERIMENTS / FILE)
    assert spec.with_schema_line(text, EXPERIMENTS) == text
    assert not re.search(r"^[^#]*\d_\d{3}", text, re.MULTILINE)  # to an editor a text; ruamel takes it for a number


@pytest.mark.parametrize("folder", [ROOT, ROOT / "experiments", ROOT / "docs", Path("/a b/ü")], ids=str)
def test_the_line_leads_to_the_schema_from_any_folder(folder: Path) -> None:
    line = spec.schema_line(folder)
    assert target(line, folder).resolve() == (EXPERIMENTS / FILE).resolve()
    assert line.isascii()


def test_a_text_gets_one_line_however_often_it_moves(tmp_path: Path) -> None:
    moved = spec.with_schema_line("name: x\n", tmp_path)
    assert spec.with_schema_line(moved, EXPERIMENTS).splitlines() == [START + FILE, "name: x"]
    shutil.copy(EXPERIMENTS / "smoke.yaml", tmp_path / "copy.yaml")
    assert spec.load(tmp_path / "copy.yaml").name == "smoke"
