"""One query, looked at before it is run: it has to be a single SELECT, which reads tables by their names.

DuckDB parses it, and gives the tree of its parts as JSON. DuckDB's own locks keep a query from files, but not from
writing to those that it may read: since 2.0 a WITH may hold a COPY, an INSERT or a DELETE.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.query.duckdb_library import connect, library, lock

READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
FUNCTIONS = {  # that stand for a table, and read nothing but their arguments and the list of tables
    *("unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree", "regexp_split_to_table"),
    *("duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_functions", "duckdb_types", "duckdb_keywords"),
}
EXPECTED = "one SELECT, such as: SELECT arm, count(*) FROM switches GROUP BY arm"


class QueryError(UsageError):
    """A query that DuckDB does not understand, or that is none."""

    @classmethod
    def of(cls, message: str) -> QueryError:
        """Return the error with a message of DuckDB, whose mark below a line of the query stays below its word."""
        first, *others = [line for line in message.splitlines() if line.strip()] or ["no reason given"]
        return cls("\n  ".join([first, *(line.strip("\t") for line in others)]))


@dataclass(frozen=True)
class Statement:
    """The text of a query, and the names in lower case of the tables that it reads, and of those that it makes."""

    text: str
    tables: frozenset[str]
    own: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Parse a query. Raises QueryError for a wrong one, for another statement, and for several."""
        if not isinstance(text, str):
            raise QueryError(f"no text, but a value of the type {type(text).__name__}", expected=EXPECTED)
        parts = list(_parts(_parsed(text)))
        for part in parts:
            _require_reading(part)
        own = (pair["key"] for part in parts for pair in (part.get("cte_map") or {}).get("map", ()))
        return cls(text, frozenset(filter(None, map(_table, parts))), frozenset(name.lower() for name in own))


def _parsed(text: str) -> Any:
    """Return the tree of the one statement in a text. Raises QueryError where it is none that only reads."""
    duckdb = library()
    with connect() as connection:
        lock(connection)
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error as error:
            raise QueryError.of(str(error)) from None
        if len(statements) != 1:
            raise QueryError(f"these are {len(statements)} statements", expected=EXPECTED)
        if statements[0].type != duckdb.StatementType.SELECT:
            raise _no_question(statements[0].type.name)
        (answer,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone() or ("",)
    tree = json.loads(answer)
    if tree["error"]:
        raise QueryError.of(str(tree["error_message"]))
    return tree["statements"]


def _no_question(kind: str) -> QueryError:
    if kind == "MULTI":  # a PIVOT whose columns depend on the data is a statement that makes a type, and another
        hint = "name the values of a PIVOT: FROM (PIVOT slices ON cpu IN (0, 1) USING count(*))"
        return QueryError("these are several statements in one", expected=EXPECTED, hint=hint)
    return QueryError(f"{kind} is no question: a query only reads", expected=EXPECTED)


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of the tree of a query, and the parts in it."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _require_reading(part: dict[str, Any]) -> None:
    kind = str(part.get("type"))
    if kind.endswith("_NODE") and kind not in READING:
        verb = kind.removesuffix("_NODE").removesuffix("_QUERY")
        raise QueryError(f"a query may not hold {verb}: it only reads", expected=EXPECTED)
    if kind == "TABLE_FUNCTION" and (name := str(part["function"].get("function_name")).lower()) not in FUNCTIONS:
        hint = "`harness query --schema` lists the tables"
        raise QueryError(f"a query may not read {name}(...)", expected="the tables of the runs", hint=hint)


def _table(part: dict[str, Any]) -> str:
    """Return the name of the table that a part reads or describes; empty for any other part."""
    return (
        str(part.get("table_name") or "").strip('"').lower() if part.get("type") in ("BASE_TABLE", "SHOW_REF") else ""
    )
