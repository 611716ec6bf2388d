"""DuckDB, which comes with an extra, and its connections, which can reach nothing but what they are given."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from harness.errors import MissingExtraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_SHARE = 0.5  # of the host's memory, for one query; more goes to the temporary folder


def library() -> ModuleType:
    """Import DuckDB. Raises MissingExtraError, which has the command that installs it."""
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("query", "duckdb") from None
    return duckdb


def connect(temporary: Path | None = None) -> DuckDBPyConnection:
    """Return a connection to an empty database in memory, which loads no extension and sees no Python variable."""
    settings = {"autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}
    memory_mb = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE) >> 20
    settings |= {"memory_limit": f"{memory_mb}MB", "temp_directory": str(temporary or "")}
    connection: DuckDBPyConnection = library().connect(":memory:", config=settings)
    connection.execute("SET python_enable_replacements = false")
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        # DuckDB prints one to stdout in `python -c` and in notebooks; where those lack ipywidgets, setting it fails.
        connection.execute("SET enable_progress_bar = false")
    return connection


def lock(connection: DuckDBPyConnection, readable: Iterable[str] = ()) -> None:
    """Keep a connection from every file but the `readable`, from extensions, and from another setting."""
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, readable))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
