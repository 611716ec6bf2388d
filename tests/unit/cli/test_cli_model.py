"""`harness model export` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model import synthetic
from model.jobs import Job, run

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()", "model"]


def harness(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run([*HARNESS, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    synthetic.write(folder / "tables", synthetic.Source(tasks=4, seed=5), events=3_000)
    run(Job((folder / "tables",), "markov", 0, "task", (0.7, 0.15, 0.15), folder / "markov_s0"))
    return folder / "markov_s0"


def test_export_writes_a_c_file_and_its_header_and_says_where(stored: Path, tmp_path: Path) -> None:
    told = json.loads(harness("export", stored, "--to", "c", "-o", tmp_path / "c", "--json").stdout)
    assert [Path(path).name for path in told["paths"]] == ["markov_s0.c", "markov_s0.h"]
    assert all(Path(path).read_text() for path in told["paths"])
    assert str(tmp_path / "c" / "markov_s0.h") in harness("export", stored, "-o", tmp_path / "c").stdout


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--to", "rust"], 2, "unknown format 'rust'"),
        (["--quantize", "int8"], 1, "only gru and lstm"),
        (["--quantize", "int4"], 1, "float, int8"),
    ],
)
def test_what_cannot_be_exported_says_why(stored: Path, tmp_path: Path, more: list[str], code: int, words: str) -> None:
    answer = harness("export", stored, "-o", tmp_path / "c", *more, code=code)
    assert words in " ".join(answer.stderr.split())
    assert not (tmp_path / "c").exists()


def test_a_folder_without_a_model_is_one_clear_error(tmp_path: Path) -> None:
    assert "expected the folder of a trained predictor" in " ".join(
        harness("export", tmp_path / "nowhere", "-o", tmp_path, code=1).stderr.split()
    )
