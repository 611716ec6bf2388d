"""A comparison as text: what of it is shown, and what is only counted."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import compared
from rich.console import Console

from harness.comparison.facts.fact_difference import FactDifference
from harness.terminal.comparison_tables import comparison_tables


def test_a_few_options_of_two_kernels_are_listed_and_dozens_are_counted(tmp_path: Path) -> None:
    found = compared.make(tmp_path / "run")
    options = tuple(FactDifference(f"guest CONFIG_{n}", "y", "-", "guest kernel") for n in range(30))
    console = Console(width=160, file=io.StringIO(), record=True)

    def text(count: int) -> str:
        console.print(*comparison_tables(replace(found, settings=options[:count])), sep="\n")
        return console.export_text()

    assert text(8).count("CONFIG_") == 8
    many = text(30)
    assert "CONFIG_" not in many
    assert "and 30 options of the kernel's configuration: --html and --json list them" in many
