"""Arrow tables as DuckDB relations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import MissingExtraError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def to_relation(table: pa.Table, connection: duckdb.DuckDBPyConnection | None) -> duckdb.DuckDBPyRelation:
    """Return a table as a relation of a connection, without one of DuckDB's default connection.

    Raises MissingExtraError.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("query", "duckdb", where="relation") from error
    return (connection or duckdb.default_connection()).from_arrow(table)
