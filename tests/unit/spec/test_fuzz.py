"""Any file gives an experiment or a SpecError."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locations import EXPERIMENTS

from harness import spec
from harness.errors import SpecError

GOOD = (EXPERIMENTS / "nginx_ab.yaml").read_text("utf-8")
KEYS = [
    "name",
    "machine",
    "load",
    "record",
    "sweep",
    "model",
    "kind",
    "box",
    "seeds",
    "on",
    "<<",
    "null",
    "1",
    "params",
]
SCALARS = st.one_of(
    st.sampled_from(
        ["nginx_ab", "idle", "debian-12", "~", "true", ".nan", "0x1F", "0o9", "1e999", "&a x", "*a", "!!int x"]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(string.printable, max_size=8),
)
YAMLISH = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=12,
)
quick = settings(max_examples=120)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fuzz.yaml"


def outcome(path: Path, raw: bytes, overrides: dict[str, str] | None = None) -> None:
    path.write_bytes(raw)
    try:
        experiment = spec.load(path, overrides)
    except SpecError as raised:
        error = raised
    else:
        assert spec.from_dict(spec.to_dict(experiment), experiment.source, experiment.text) == experiment
        return
    assert error.where
    assert all(line.isprintable() for line in str(error).split("\n")), "a message must not contain control characters"


@quick
@given(raw=st.binary(max_size=200))
def test_any_bytes_give_an_experiment_or_a_spec_error(path: Path, raw: bytes) -> None:
    outcome(path, raw)


@quick
@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>%@`#?,'\"\\ \n\t0.~<=xuU\u2028\x85\ufeff"), max_size=40))
def test_any_punctuation_gives_an_experiment_or_a_spec_error(path: Path, text: str) -> None:
    outcome(path, text.encode())


@quick
@given(pairs=st.dictionaries(st.sampled_from(KEYS), YAMLISH, max_size=6))
def test_any_structure_gives_an_experiment_or_a_spec_error(path: Path, pairs: dict[str, str]) -> None:
    outcome(path, "".join(f"{key}: {value}\n" for key, value in pairs.items()).encode("utf-8", "surrogatepass"))


@quick
@given(data=st.data())
def test_a_good_file_with_one_stretch_replaced_gives_an_experiment_or_a_spec_error(
    path: Path, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(len(GOOD), start + 30)))
    outcome(path, (GOOD[:start] + data.draw(st.text(max_size=10)) + GOOD[end:]).encode("utf-8", "surrogatepass"))


@quick
@given(name=st.sampled_from(["load.concurrency", "sweep", "model.params", "load", "load.kind", "x.y"]), value=YAMLISH)
def test_any_override_gives_an_experiment_or_a_spec_error(path: Path, name: str, value: str) -> None:
    outcome(path, GOOD.encode(), {name: value})
