"""The columns of a table that show what loads measured: their rate, and each latency that any of them gives."""

from __future__ import annotations

from collections.abc import Sequence

from harness.load_results import LoadResult, latency_kinds

Results = Sequence[LoadResult]  # of one row
Column = tuple[str, list[str]]  # the heading for `plain_table`, and the cell of each row


def load_columns(rows: Sequence[Results]) -> list[Column]:
    """Return a column of rates, and one for each kind of latency; none for what no row has."""
    rates = [[result for result in row if result.is_rate] for row in rows]
    kinds = latency_kinds(rows)
    latencies = [
        (f">{kind.removesuffix('latency')}ms", [[result for result in row if result.kind == kind] for row in rows])
        for kind in kinds
    ]
    return [
        *([_rates(rates)] if any(rates) else []),
        *((head, [_values(row) for row in cells]) for head, cells in latencies),
    ]


def words(results: Results) -> str:
    """Return all results of a load in one text: `478 requests/s, p99 latency 31.2 ms`."""
    return ", ".join(result.text(short) for result in results)


def short(value: float) -> str:
    """Return a number with three digits, or all of its digits before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rates(rows: Sequence[Results]) -> Column:
    """Return the column of rates; where all rows have one rate of one kind, its name is the heading."""
    names = {result.name for row in rows for result in row}
    if len(names) == 1:
        return f">{names.pop()}", [_values(row) for row in rows]
    return "~rate", [", ".join(result.text(short) for result in row) for row in rows]


def _values(row: Results) -> str:
    """Return the results of a row, which are of one kind, each with the load of a mix that it is of."""
    return ", ".join(f"{result.part} {_value(result)}".lstrip() for result in row)


def _value(result: LoadResult) -> str:
    low, high = short(min(result.values)), short(max(result.values))
    return short(result.mean) + (f" ({low} to {high})" if low != high else "")
