"""The picture of one step of a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import LIMIT_S
from locations import ROOT

from benchmarks.paper_network import network
from model.errors import MissingProgramError, SettingError
from model.graph import draw_step
from model.predictors import create
from model.predictors.kernel_oracle import Paper

pytest.importorskip("torchview", reason="the extra graph is not installed")

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def paper() -> Paper:
    """The paper's network, not trained: its graph depends on no weight."""
    return network()


@pytest.fixture(scope="module")
def picture(paper: Paper) -> bytes:
    return draw_step(paper, "One step of <paper> & more")


def test_the_picture_of_the_papers_network_has_its_layers_shapes_and_parameters(picture: bytes) -> None:
    root = ElementTree.fromstring(picture)
    words = "".join("".join(text.itertext()) + "|" for text in root.iter(f"{SVG}text"))
    for label in ("first: LSTMCell|29, 51, 51 → 51, 51|16,728 parameters", "21,216 parameters", "51 → 29|1,508 param"):
        assert label in words
    assert len([group for group in root.iter(f"{SVG}g") if group.get("class") == "edge"]) == 12


def test_labels_are_centred_whichever_font_a_viewer_has(picture: bytes) -> None:
    anchors = {text.get("text-anchor") for text in ElementTree.fromstring(picture).iter(f"{SVG}text")}
    assert anchors == {"middle"}


def test_the_picture_says_what_it_shows_to_who_does_not_see_it(picture: bytes) -> None:
    title, description = ElementTree.fromstring(picture)[:2]
    assert (title.tag, title.text) == (f"{SVG}title", "One step of <paper> & more")
    assert "Layers: first (LSTMCell, 16,728 parameters); second" in (description.text or "")


def test_the_picture_has_a_background_no_path_and_no_name_that_another_one_has(picture: bytes) -> None:
    assert b'<polygon fill="white"' in picture
    assert str(ROOT).encode() not in picture
    assert b" id=" not in picture
    assert b"<!--" not in picture


def test_the_command_of_the_docs_draws_the_same_bytes_again_and_the_picture_there_has_the_same_labels(
    tmp_path: Path,
) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "paper_network.py"), str(tmp_path / "again.svg")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    subprocess.run(command, check=True, env=environment, timeout=LIMIT_S)
    again = (tmp_path / "again.svg").read_bytes()
    assert again == draw_step(network(), "One step of the paper's network")
    assert labels(again) == labels((ROOT / "docs" / "paper_network.svg").read_bytes())


def labels(picture: bytes) -> list[str]:
    """All texts of a picture; where they stand depends on the fonts and the Graphviz of a host."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(picture).iter() if element.text]


def test_other_formats_are_drawn_too(paper: Paper) -> None:
    assert draw_step(paper, "step", "pdf").startswith(b"%PDF")
    assert draw_step(paper, "step", "png").startswith(b"\x89PNG")
    with pytest.raises(SettingError, match="cannot be 'gif': expected svg, pdf, png"):
        draw_step(paper, "step", "gif")


def test_a_host_without_graphviz_is_told_the_package(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingProgramError, match="dot is not installed: it comes with Debian's package graphviz"):
        draw_step(paper, "step")


def test_a_table_has_no_graph() -> None:
    with pytest.raises(SettingError, match="only a network has a computational graph"):
        draw_step(create("markov", {}), "step")
