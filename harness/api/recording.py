"""A recording as an object: its tables, and whether they can be trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api import html
from harness.api.frame import to_frame
from harness.api.relation import to_relation
from harness.api.sources import TableSource, wrong_name
from harness.errors import HarnessError
from harness.visible import visible

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa


class Recording:
    """One recording of the scheduler, made by `harness.open_recording`: `table` and `frame` give its tables.

    `path`: the file or folder; `os.fspath` gives it, so that a recording goes wherever a path does. Times are in
    nanoseconds of the recorded machine's clock, which perf chose; a column's name ends with its unit. `docs/api.md`
    lists the tables and their columns.
    """

    def __init__(self, path: Path, source: TableSource) -> None:
        self.path, self._source = path, source

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables, such as `switches`, `wakeups`, `slices` and `runtimes`."""
        return self._source.names

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table, or some columns of it, as Arrow: a row per event, or per slice, in the order of time.

        Raises UsageError for a table or column that it does not have, TraceError or StoreError for one that is damaged
        or was changed.
        """
        if name not in self.tables:
            raise wrong_name("table", name, str(self.path), self.tables)
        return self._source.table(name, columns)

    def frame(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a table as a pandas data frame; integers with gaps are `Int64`, so that no nanosecond is lost.

        Raises what `table` raises.
        """
        return to_frame(self.table(name, columns))

    def relation(
        self, name: str, columns: Sequence[str] | None = None, *, connection: duckdb.DuckDBPyConnection | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Return a table as a DuckDB relation, to be filtered, joined and queried: `relation.filter("cpu = 0")`.

        It belongs to `connection`, by default to DuckDB's own default one, so that relations of several recordings
        join, and `duckdb.sql` finds the variable that holds one. It is the table as it was read, in memory. Raises what
        `table` raises, and MissingExtraError without the extra `query`.
        """
        return to_relation(self.table(name, columns), connection)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that is known of it, with the keys of `recording.json` (docs/trace.md): `header`, `quality` and so on.

        Empty for tables that no version of harness judged. Raises StoreError for a damaged file.
        """
        return self._source.facts

    @property
    def whole(self) -> bool | None:
        """Whether nothing of it is missing; None where nobody judged it."""
        known = self._quality.get("whole")
        return None if known is None else bool(known)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against it, in sentences: damage first. Empty for a sound one."""
        damage = self.facts.get("damage")
        return (*([f"not whole: {damage}"] if damage else []), *map(str, self._quality.get("warnings", ())))

    @property
    def kernel(self) -> str | None:
        """The release of the recorded kernel, such as `6.1.0-18-amd64`; None where it is not known."""
        header = self.facts.get("header") or {}
        return header.get("os_release")

    @property
    def seconds(self) -> float | None:
        """The time from the first event to the last, on the clock of the recorded machine; None if unknown."""
        span_ns = self._quality.get("span_ns")
        return None if span_ns is None else span_ns / 1e9

    @property
    def switches(self) -> int | None:
        """The number of `sched:sched_switch` events; None where it is not known."""
        counts = self._quality.get("counts")
        return None if counts is None else int(counts.get("sched:sched_switch", 0))

    @property
    def _quality(self) -> dict[str, Any]:
        quality = self.facts.get("quality")
        return quality if isinstance(quality, dict) else {}

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        try:
            words = ", ".join(self._in_words())
        except HarnessError as error:
            words = error.what
        return f"{type(self).__name__}({str(self._shown_path)!r}: {visible(words)})"

    @html.said
    def _repr_html_(self) -> str:
        return html.facts(f"{type(self).__name__} {self._shown_path}", self._in_facts())

    @property
    def _shown_path(self) -> Path:
        return self.path

    def _in_facts(self) -> Iterable[tuple[str, Any]]:
        yield from (("switches", self.switches), ("seconds", self.seconds), ("kernel", self.kernel))
        yield "tables", ", ".join(self.tables)
        yield "whole", {True: "yes", False: "no", None: "not judged"}[self.whole]
        yield "warnings", "; ".join(self.warnings)

    def _in_words(self) -> Iterable[str]:
        if self.switches is not None and self.seconds is not None:
            yield f"{self.switches:,} switches in {self.seconds:.3f} s"
        else:
            yield " ".join(self.tables) or "no tables"
        if self.kernel:
            yield f"Linux {self.kernel}"
        yield {True: "whole", False: "not whole", None: "not judged"}[self.whole]
