"""The picture of the run's network on the page, of a run with a real LSTM."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from written_before import RUN, unpack

from harness.report import page_of

FOLD = "<summary>The network, one step</summary>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("run")) / RUN


def test_the_page_draws_the_network_of_the_run_where_the_extra_is_installed(run: Path) -> None:
    page = page_of(run)
    fold = page.partition(FOLD)[2].partition("</details>")[0]
    if find_spec("torchview"):
        assert "<title>One step of lstm_s0</title>" in fold
        assert fold.count("<svg") == 1
        assert 'class="scroll network"' in fold
        assert ".network svg text { fill: #000; }" in page  # black on white, where the page is dark, too
    else:
        assert "No picture of lstm_s0: torchview is not installed: it comes with the extra graph." in fold


def test_without_graphviz_the_page_says_so_and_shows_all_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchview", reason="the extra graph is not installed")
    monkeypatch.setenv("PATH", "/nonexistent")
    page = page_of(run)
    assert "the program dot is not installed: it comes with Debian&#39;s package graphviz" in page
    assert "Training curves" in page
