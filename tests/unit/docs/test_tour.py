"""docs/tour.ipynb: its cells run in a kernel of their own, and show what is stored in the notebook.

`PYTHONPATH=.:tests/helpers python tests/unit/docs/test_tour.py` writes what they show now into it.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from campaigns import unpack_campaign
from command_line import LIMIT_S
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from locations import ROOT
from nbclient import NotebookClient

NOTEBOOK = ROOT / "docs" / "tour.ipynb"
OWN_FOLDERS = ("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "HARNESS_CACHE", "HARNESS_STATE")
KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
OF_THIS_HOST = re.compile(r"/(home|root|tmp|work|usr|var|Users)/|0x[0-9a-f]{6,}|https?://(?!www\.w3\.org/2000/svg)")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


class OwnKernel(KernelSpecManager):
    """Knows the kernel of this Python only, whatever is installed on the machine."""

    def _kernel_dirs_default(self) -> list[str]:
        return []


def executed(folder: Path) -> Any:
    """Run the notebook in a folder that has `runs`; its kernel talks through sockets in that folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    manager = AsyncKernelManager(
        kernel_spec_manager=OwnKernel(),
        transport="ipc",
        ip=str(folder / "socket"),
        connection_file=str(folder / "kernel.json"),
    )
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, km=manager, timeout=LIMIT_S, resources=resources, record_timing=False)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    client.execute(env={**kept, **dict.fromkeys(OWN_FOLDERS, str(folder)), "PYTHONPATH": str(ROOT)})
    return notebook


def outputs(notebook: Any) -> list[list[dict[str, str]]]:
    """What each code cell shows, by the type of its text."""
    return [
        [dict(output.get("data") or {output["output_type"]: output.get("text", "")}) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def shown() -> Any:
    with tempfile.TemporaryDirectory(
        prefix="tour"
    ) as folder:  # of pytest's folders the names are too long for a socket
        unpack_campaign(Path(folder) / "runs")
        yield executed(Path(folder))


@pytest.mark.slow
def test_the_cells_show_what_the_notebook_shows(shown: Any) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    for cell, wanted, found in zip(
        (c for c in stored.cells if c.cell_type == "code"), outputs(stored), outputs(shown), strict=True
    ):
        assert [each.keys() for each in found] == [each.keys() for each in wanted], cell.source
        for kind, text in ((kind, text) for each in wanted for kind, text in each.items()):
            assert any(alike(text, each.get(kind, "")) for each in found), f"{cell.source}\n{text}\n{found}"


def alike(first: str, second: str) -> bool:
    """Return whether two texts are the same but for last digits of numbers, which libraries may change."""
    if NUMBER.sub("#", first) != NUMBER.sub("#", second):
        return False
    pairs = zip(NUMBER.findall(first), NUMBER.findall(second), strict=True)
    return all(_number(one) == pytest.approx(_number(other), rel=0.02, abs=0.011) for one, other in pairs)


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_notebook_is_valid_has_outputs_without_errors_and_names_nothing_of_the_host_that_wrote_it() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert not [cell.source for cell in code[1:] if not cell.outputs]
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not OF_THIS_HOST.findall(NOTEBOOK.read_text("utf-8"))


def _refresh() -> None:
    """Write what the cells show now into the notebook."""
    with tempfile.TemporaryDirectory(prefix="tour") as folder:
        unpack_campaign(Path(folder) / "runs")
        notebook = executed(Path(folder))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", "utf-8")


if __name__ == "__main__":
    _refresh()
