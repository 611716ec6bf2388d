"""docs/experiment-file.md documents every key with its default, and shows real errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from locations import ROOT
from pydantic import BaseModel

from harness import spec
from harness.errors import SpecError
from harness.spec.kernel_settings import SchedSpec

TEXT = (ROOT / "docs" / "experiment-file.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
SECTIONS = {
    name: field.annotation
    for name, field in spec.Experiment.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) and name != "load"
}


def rows(heading: str) -> dict[str, str]:
    """Return key -> default of the table under a heading."""
    part = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", part, re.MULTILINE))


def yaml_block(start: str) -> str:
    return next(body for kind, body in BLOCKS if kind == "yaml" and body.startswith(start))


def error_of(path: Path, text: str, overrides: dict[str, str] | None = None) -> str:
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        spec.load(path, overrides)
    return str(caught.value).replace(str(path), path.name)


def test_every_key_at_the_top_is_documented() -> None:
    assert set(rows("Top level")) == set(spec.Experiment.model_fields)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_documented_with_its_default(section: str) -> None:
    documented = rows(f"`{section}`")
    fields = SECTIONS[section].model_fields
    assert set(documented) == set(fields)
    for name, field in fields.items():
        shown = documented[name].strip("`").strip()
        if field.is_required():
            assert shown == "required"
        elif field.get_default(call_default_factory=True) in (None, (), {}, SchedSpec()):
            assert shown in ("none", "perf's own")
        elif isinstance(field.default, (str, bool)):
            assert shown == str(field.default).lower()
        else:
            numbers = [float(number) for number in re.findall(r"[0-9.]+", shown)]
            default = field.default if isinstance(field.default, tuple) else (field.default,)
            assert numbers == [float(value) for value in default]


def test_the_smallest_file_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(yaml_block("name: first"))
    assert spec.load(path).machine.box == "debian-12"


def test_the_errors_in_the_page_are_the_real_ones(tmp_path: Path) -> None:
    shown = [body.strip() for kind, body in BLOCKS if not kind]
    demo = yaml_block("name: demo")
    good = yaml_block("name: first")
    assert shown == [
        error_of(tmp_path / "demo.yaml", demo),
        error_of(tmp_path / "demo.yaml", demo.replace("  memory", "\tmemory")),
        error_of(tmp_path / "demo.yaml", good, {"load.concurrency": "many"}),
    ]
