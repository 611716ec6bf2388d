"""The page leads to files of the run folder that exist, and to nothing outside of it."""

from __future__ import annotations

from pathlib import Path

import synthetic_run

from harness.report.run_facts import read_run
from harness.report.run_files import run_files


def test_only_files_in_the_run_folder_that_exist_are_linked(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "secret"
    outside.write_text("no")
    odd = 'machine/a "#?% ü.log'
    paths = ["trials/a.parquet", odd, "gone.txt", "linked", "machine"]
    outputs = {path: "ab" * 32 for path in paths}
    synthetic_run.write_manifest(run, steps={"box": {"state": "done", "outputs": outputs}})
    for path in paths[:2]:
        (run / path).parent.mkdir(exist_ok=True)
        (run / path).write_text("12345")
    (run / "linked").symlink_to(outside)
    files = run_files(read_run(run))
    linked = {file.path: file.href for file in files if file.href}
    assert linked == {
        "trials/a.parquet": "../trials/a.parquet",
        odd: "../machine/a%20%22%23%3F%25%20%C3%BC.log",
        "manifest.json": "../manifest.json",
    }
    assert {file.size_bytes for file in files if file.path in paths[:2]} == {5}
    assert [file.size_bytes for file in files if file.path == "manifest.json"] == [None]
    assert len(files) == len(paths) + 1
