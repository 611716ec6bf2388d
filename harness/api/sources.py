"""Where the tables of a recording come from: perf.data in memory, or a folder of Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness import cleaned_tables
from harness.errors import StoreError, TraceError, UsageError
from harness.files import is_changed, open_regular
from harness.store import json_file, trial_record
from harness.store.integrity import require_unchanged
from harness.store.json_file import each, items, mapping, null_or, number, text, truth

if TYPE_CHECKING:
    import pyarrow as pa

    from harness.trace import Trace

RECORDING, TRIAL = "recording.json", "trial.json"
TEXT, NUMBER = null_or(text), null_or(number)
QUALITY = mapping(whole=truth, span_ns=NUMBER, counts=null_or(each(number)), warnings=null_or(items(text)))
FACTS = mapping(
    header=null_or(mapping(os_release=TEXT)), quality=null_or(QUALITY), damage=TEXT, table_sha256=null_or(each(text))
)
CONVERT_AGAIN = "convert the recording again: harness.convert, or `harness trace convert`"


class TableSource(Protocol):
    """Gives the tables of one recording, and what is known of it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables."""

    @property
    def facts(self) -> dict[str, Any]:
        """What was recorded, and whether it is whole, as `recording.json` and `trial.json` have it."""

    def table(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        """Return one of `names`, or some columns of it. Raises UsageError for a column that it does not have."""


class PerfData:
    """A recording of perf, decoded in memory."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All tables; there are no slices where the switches do not tell the run times."""
        from harness.trace.tables.schemas import EVENT_TABLES

        return (*EVENT_TABLES, *(["slices"] if self.trace.quality.run_times else []))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The header and the judgement, as `recording.json` has them."""
        from harness.trace.quality import damage

        quality = self.trace.quality
        return {"header": asdict(self.trace.header), "quality": quality.to_dict(), "damage": damage(quality)}

    def table(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        """Make a table of the decoded events; slices are cut once."""
        table = self._slices if name == "slices" else getattr(self.trace, name)
        return table.select(known_columns(columns, f"{self.trace.path}: {name}", table.column_names))

    @cached_property
    def _slices(self) -> pa.Table:
        from harness.trace import slices

        return slices(self.trace)


class TableFolder:
    """The tables that `convert`, `import` or a trial wrote into a folder. What was changed since is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tables that are there, and those of a trial that were cleaned."""
        from harness.trace.tables.schemas import SCHEMAS

        cleaned = [Path(path).stem for tables in cleaned_tables.absent_at(self.folder) for path in tables.paths]
        return tuple(name for name in SCHEMAS if name in cleaned or (self.folder / f"{name}.parquet").is_file())

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of `recording.json` and of `trial.json`; empty where there is neither. Raises StoreError."""
        require_unchanged(self.folder, ("json",))
        trial = trial_record.read_trial(self.folder) if (self.folder / TRIAL).exists() else {}
        json_file.require(trial, FACTS, self.folder / TRIAL, trial_record.HINT)
        return {**self._converted, **trial}

    def table(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        """Read a table whose bytes are those that were written. Raises StoreError, TraceError, HostError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from model.data import unchanged
        from model.errors import TableError

        path = self.folder / f"{name}.parquet"
        try:
            with cleaned_tables.kept(self.folder):
                require_unchanged(self.folder)
                with open_regular(path) as file:
                    unchanged.require_unchanged(path)
                    source = pq.ParquetFile(file, page_checksum_verification=True)
                    return source.read(known_columns(columns, str(path), source.schema_arrow.names))
        except TableError as error:
            raise TraceError(str(error).removeprefix(f"{path}: "), where=str(path), hint=CONVERT_AGAIN) from error
        except (pa.ArrowException, UnicodeError, OSError) as error:
            raise TraceError(f"not a readable table: {error}", where=str(path), hint=CONVERT_AGAIN) from error

    @cached_property
    def _converted(self) -> dict[str, Any]:
        path = self.folder / RECORDING
        content = json_file.read(path, FACTS, CONVERT_AGAIN) if path.exists() else {}
        if is_changed(content):
            what = f"{RECORDING} is not as it was written: its SHA-256 differs"
            raise StoreError(what, where=str(path), hint=CONVERT_AGAIN)
        return content


def known_columns(columns: Sequence[str] | None, table: str, known: Sequence[str]) -> list[str]:
    """Return the columns that are wanted, all that are known without any. Raises UsageError for another."""
    for name in columns or ():
        if name not in known:
            raise wrong_name("column", name, table, known)
    return list(known if columns is None else columns)


def wrong_name(what: str, name: str, where: str, known: Sequence[str]) -> UsageError:
    """Return the error of a table or a column that is not there."""
    expected = f"one of {', '.join(known)}" if known else "a recording with tables"
    return UsageError(f"there is no {what} {name!r}", where=where, expected=expected)
