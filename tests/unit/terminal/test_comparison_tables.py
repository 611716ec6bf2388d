"""A comparison as text: what of it is shown, and what is only counted."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import compared
from rich.console import Console

from harness.comparison.facts.fact_difference import FactDifference
from harness.terminal.comparison_tables import comparison_tables
from harness.terminal.console import PlainConsole


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


def test_two_kernels_with_long_names_stay_side_by_side_at_80_columns(tmp_path: Path) -> None:
    kernels = ("6.1.0-49-cloud-amd64 of debian-12-stable", "kernel-bookworm-backports-cloud-amd64-own")
    path = "guest /sys/kernel/debug/sched/idle_min_granularity_ns"
    facts = (FactDifference("guest kernel release", *kernels), FactDifference(path, "750000", "1500000"))
    out = io.StringIO()
    console = PlainConsole(out, width=80)
    for part in comparison_tables(replace(compared.make(tmp_path / "run"), settings=facts)):
        console.show(part)
    assert sum(line.startswith("the arm") for line in out.getvalue().splitlines()) == 1
