"""`harness compare`: two arms, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run import RunsDir
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.comparison import Comparison
    from harness.store import RunFolder


@handled
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Folders of runs, or the beginnings of their names; same arms are pooled. Default: the latest.",
            autocompletion=completion.runs,
        ),
    ] = None,
    arms: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="The two arms: ARM, or RUN:ARM; part of a name is enough. Default: the first arm and each other one.",
            autocompletion=completion.arms,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Only this metric, or those that begin so, such as 'wakeup'; may be given several times."),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="The difference that is too small to matter, such as 1%: so much of a rate or a time, a point of a "
            "share, 0.01 bits. Default: compare.margin of the experiment.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write one offline page with all of it.")
    ] = None,
    require_equal: Annotated[
        bool, typer.Option("--require-equal", help="Exit with 1 if a fact differs besides the arm, and list these.")
    ] = False,
    across_clocks: Annotated[
        bool, typer.Option("--across-clocks", help="Go on although the clocks of the two sides differ.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say whether two arms differ, by how much, and how sure one may be.

    Trials of one block were recorded one after the other, so what the host did then cancels: each block has one
    difference, and these are resampled for the 95 % interval and flipped for the p-value. Fewer than 6 blocks have an
    effect and a range, and no verdict. The arm that is recorded twice (compare.null) is shown first: what the method
    calls a difference between equals.

    docs/compare.md has the method, its sources, and how often it is right in simulated campaigns.
    """
    from harness import comparison
    from harness.comparison.facts import differing

    output = Output(as_json, quiet)
    share = None if margin is None else _share(margin)
    with ExitStack() as kept:
        folders = [kept.enter_context(_tables_of(name, runs_dir, output)) for name in runs or (None,)]
        found = comparison.compare_all(folders, arms, metric, share, across_clocks)
        for each in found if require_equal else ():
            differing.require_equal(each)
        page = _write_page(found, html) if html else None
    _show(found, output, page)


@contextmanager
def _tables_of(name: str | None, runs_dir: Path, output: Output) -> Iterator[RunFolder]:
    """Open a run, with the tables that were cleaned made again and kept while it is read."""
    from harness import cleaned_tables, store

    path = store.resolve(runs_dir, name)
    with cleaned_tables.kept(path, output.view()):
        yield store.RunFolder.open(path)


def _share(text: str) -> float:
    """Return a share that is written `0.01`, `1%` or `1 %`. Raises UsageError."""
    from harness.comparison.stated import is_margin
    from harness.spec import percentage

    try:
        share = percentage.share_of(text) if "%" in text else float(text)
    except ValueError:
        share = -1.0
    if not is_margin(share):
        raise UsageError(f"{text!r} is no share", where="--margin", expected="a share above 0 and below 1: 1% or 0.01")
    return share


def _write_page(found: tuple[Comparison, ...], path: Path) -> Path:
    from harness import comparison_page

    if len(found) > 1:
        raise UsageError("a page is about two arms", where="--html", expected="--arms A B with it")
    return comparison_page.write(found[0], path)


def _show(found: tuple[Comparison, ...], output: Output, page: Path | None) -> None:
    from harness.terminal.comparison_tables import comparison_tables, pair_tables

    output.data({"comparisons": [each.to_dict() for each in found], "page": str(page) if page else None})
    output.show(*(comparison_tables(found[0]) if len(found) == 1 else pair_tables(found)))
    if page:
        output.show(str(page))
