"""The tables of several runs as one database, which is only read."""

from __future__ import annotations

import fcntl
import resource
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from harness import cleaned_tables
from harness.errors import HarnessError, HostError, StoreError, UsageError
from harness.files import scratch_folder
from harness.progress import View
from harness.query import event_files, rows
from harness.query.duckdb_library import connect, library, lock, quoted
from harness.query.event_files import EventFile, ReadableNames
from harness.query.open_run import OpenRun
from harness.query.result import Interruptible, QueryResult, StreamError
from harness.query.schema import TABLES
from harness.query.statement import QueryError, Statement
from harness.store import RunFolder, manifest, readable, resolve
from harness.store.lock import of_tables
from harness.store.trial_record import HINT

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

SPARE_FILES = 256  # that a process may have open beside the folders that it keeps
NAME = "name of the file"  # no column of a table is called so


class RunDatabase:
    """Answers queries over the tables of runs (`query.schema`), whose Parquet files are read where they lie.

    A context manager: while it is open, `harness clean` removes no table that a query has read. `problems` has a
    sentence for all that was left out. With `checked`, a Parquet file is read only if it has its SHA-256 in the
    manifest; a damaged one would give wrong numbers, because DuckDB does not verify checksums.
    """

    def __init__(self, folders: Sequence[RunFolder], *, checked: bool = True, view: View | None = None) -> None:
        library()
        self._runs = [OpenRun(name, folder) for name, folder in zip(_names(folders), folders, strict=True)]
        self._checked, self._view = checked, view
        self._noted = [f"{run.name}: its manifest was changed by another program" for run in self._runs if run.edited]
        self._small: dict[str, pa.Table] = {}
        self._files: dict[str, list[EventFile]] = {}
        self._kept: set[str] = set()
        self._stack, self._readable = ExitStack(), ReadableNames()

    @classmethod
    def open(cls, runs_dir: Path, names: Sequence[str] = (), **options: Any) -> RunDatabase:
        """Open the runs of these names, paths or beginnings of names; without one, all runs in a folder of runs.

        One that is named and cannot be read raises StoreError; of all runs, it is among the `problems`. Raises
        UsageError where there is none.
        """
        if names:
            return cls([RunFolder.open(resolve(runs_dir, name)) for name in dict.fromkeys(names)], **options)
        folders, damaged = readable(runs_dir)
        if not folders:
            raise damaged[0] if damaged else _no_runs(runs_dir)
        database = cls(folders, **options)
        database._noted += [f"{error.where}: {error.what}: this run is left out" for error in damaged]
        return database

    def __enter__(self) -> RunDatabase:
        self._stack.callback(self._readable.close)
        self._temporary = self._stack.enter_context(scratch_folder("query"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def problems(self) -> list[str]:
        """What was left out so far, and what is wrong with a manifest: a sentence each, without repetition."""
        of_runs = (problem for run in self._runs for problem in run.problems)
        return list(dict.fromkeys([*self._noted, *of_runs]))

    @property
    def folders(self) -> list[Path]:
        """The folders of the runs."""
        return [run.path for run in self._runs]

    @property
    def names(self) -> list[str]:
        """The name of each run in a query."""
        return [run.name for run in self._runs]

    def query(self, text: str) -> QueryResult:
        """Answer one SELECT. Raises QueryError for a wrong one, StoreError for a damaged file, HostError."""
        statement = Statement.parse(text)
        connection = self._stack.enter_context(connect(self._temporary))
        calls = Interruptible(connection)
        self._stack.callback(calls.close)
        try:
            self._define(connection, statement)
            return QueryResult(calls.call(lambda: _relation(connection, text)), calls, self._translated)
        except Exception as error:
            raise self._translated(error) from None

    def _define(self, connection: DuckDBPyConnection, statement: Statement) -> None:
        """Make the tables that a query reads; all of them if it names none or another, so that DuckDB names one."""
        known = statement.tables & TABLES.keys()
        wanted = known if known and known == statement.tables - statement.own else TABLES
        connection.execute("CREATE SCHEMA files")
        for name in TABLES:
            if name in wanted:
                self._define_one(connection, name)
        free = shutil.disk_usage(self._temporary).free // 2 >> 20
        connection.execute(f"SET max_temp_directory_size = '{free}MB'")
        lock(connection, self._readable.allowed())

    def _define_one(self, connection: DuckDBPyConnection, name: str) -> None:
        if not TABLES[name].events or not self._files_of(name):
            connection.register(name, self._small_table(name))
            return
        files = self._files_of(name)
        names = [self._readable.of(file.file) for file in files]
        values = [names, *([rows.plain(getattr(file, key), "VARCHAR") for file in files] for key in OF_FILE)]
        pairs = ", ".join(f"unnest(${number}) AS {key}" for number, key in enumerate(("name", *OF_FILE), 1))
        connection.execute(f"CREATE TABLE files.{name} AS SELECT {pairs}", values)
        columns = ", ".join(f"event.{column.name}" for column in TABLES[name].columns if column.name not in OF_FILE)
        connection.execute(
            f"CREATE VIEW {name} AS SELECT file.run, file.trial, file.arm, {columns} "
            f"FROM read_parquet([{', '.join(map(quoted, names))}], filename = '{NAME}', hive_partitioning = false) "
            f'event JOIN files.{name} file ON file.name = event."{NAME}"'
        )

    def _small_table(self, name: str) -> pa.Table:
        if name not in self._small:
            import pyarrow as pa

            types = {column.name: column.type for column in TABLES[name].columns}
            found = (
                {**row, "run": run.name}
                for run in self._runs
                for row in (rows.ROWS[name](run) if name in rows.ROWS else ())
            )
            listed = [{key: rows.plain(row.get(key), kind) for key, kind in types.items()} for row in found]
            self._small[name] = pa.Table.from_pylist(listed, TABLES[name].arrow)
        return self._small[name]

    def _files_of(self, name: str) -> list[EventFile]:
        """Return the files of an event table that may be read, once cleaned ones are made again."""
        if name not in self._files:
            _allow_open_files(len(self._runs) + SPARE_FILES)
            listed = [file for run in self._runs for file in self._files_of_run(run, name)]
            self._files[name], problems = event_files.sound(listed, checked=self._checked)
            self._noted += problems
        return self._files[name]

    def _files_of_run(self, run: OpenRun, name: str) -> list[EventFile]:
        if run.name not in self._kept:
            self._stack.enter_context(of_tables(run.path, fcntl.LOCK_SH))
            self._kept.add(run.name)
        if cleaned := [path for path in manifest.cleaned(run.manifest, run.path) if path.endswith(f"/{name}.parquet")]:
            self._make_again(run, {str(manifest.trial_of(path)) for path in cleaned})
        absent = manifest.cleaned(run.manifest, run.path)
        return [file for file in event_files.of_run(run.name, run.path, run.manifest, name) if file.path not in absent]

    def _make_again(self, run: OpenRun, trials: set[str]) -> None:
        for tables in cleaned_tables.absent(run.folder):
            try:
                cleaned_tables.restore([tables] if tables.trial in trials else [], self._view)
            except HarnessError as error:
                self._noted.append(f"{run.name}: {error.what}: the rows of {tables.trial} are left out")
        run.reopen()

    def _translated(self, error: Exception) -> Exception:
        """Return an error of DuckDB as one of harness; any other as it is."""
        duckdb = library()
        if not isinstance(error, (duckdb.Error, StreamError)):
            return error
        text = self._readable.with_paths(str(error))
        if isinstance(error, duckdb.OutOfMemoryException) or text.startswith("Out of Memory"):
            return HostError(f"this query needs more memory: {text}", hint="ask for fewer rows or groups, or name runs")
        files = [file for found in self._files.values() for file in found]
        if file := next((file for file in files if str(file.file) in text), None):
            return StoreError(
                f"{file.file.name} cannot be read: {text.splitlines()[0]}", where=str(file.file), hint=HINT
            )
        return QueryError.of(text)


OF_FILE = ("run", "trial", "arm")  # columns of an event table that are the same in all of a file


def _relation(connection: DuckDBPyConnection, text: str) -> DuckDBPyRelation:
    """Return the relation of a query; the error of a wrong one has its line, which `sql` leaves out."""
    duckdb = library()
    try:
        return connection.sql(text)
    except (duckdb.CatalogException, duckdb.BinderException):
        connection.execute(text)
        raise


def _no_runs(runs_dir: Path) -> UsageError:
    what = "there are no runs yet" if runs_dir.exists() else "there is no such folder"
    return UsageError(what, where=str(runs_dir), expected="a folder of runs", hint="harness run, or --runs FOLDER")


def _names(folders: Sequence[RunFolder]) -> list[str]:
    """Return the name of each run in a query: that of its folder, or its whole path where two have one name."""
    names = [folder.path.name for folder in folders]
    return [
        str(rows.plain(str(folder.path) if names.count(folder.path.name) > 1 else folder.path.name, "VARCHAR"))
        for folder in folders
    ]


def _allow_open_files(count: int) -> None:
    """Let this process have more files open, as far as the host allows: a run that is read is kept by one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (min(count, hard) if hard != resource.RLIM_INFINITY else count, hard)
        )
