"""The answer to a query, read piece by piece, from a thread that Ctrl-C interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

Answer = TypeVar("Answer")
ROWS = 50_000  # of one piece
RETRY_S = 0.05


class StreamError(Exception):
    """An error of DuckDB after the first rows, of which Arrow passes on the text only."""


class Interruptible:
    """Calls that DuckDB works on in a thread, so that a signal ends them at once."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection, self._pool = connection, ThreadPoolExecutor(1)

    def call(self, work: Callable[[], Answer]) -> Answer:
        """Return what `work` returns; whatever is raised meanwhile in this thread interrupts the query."""
        future = self._pool.submit(work)
        try:
            return future.result()
        except BaseException:
            while not future.done():  # an interrupt that comes before DuckDB has begun is lost
                self._connection.interrupt()
                wait([future], timeout=RETRY_S)
            self.close()
            raise

    def close(self) -> None:
        """Wait for the thread to end."""
        self._pool.shutdown()


class QueryResult:
    """The columns of an answer, and its rows as Arrow batches. It can be read once, while its database is open."""

    def __init__(
        self, relation: DuckDBPyRelation, calls: Interruptible, translated: Callable[[Exception], Exception]
    ) -> None:
        self._calls, self._translated = calls, translated
        read: Any = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch  # before 2.0
        self._reader = self._call(lambda: read(ROWS))

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""
        schema: pa.Schema = self._reader.schema
        return schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in order. Raises QueryError, StoreError, HostError."""
        while (batch := self._call(self._next)) is not None:
            yield batch

    def table(self) -> pa.Table:
        """Return all rows as one table."""
        import pyarrow as pa

        return pa.Table.from_batches(list(self.batches()), self.schema)

    def _next(self) -> pa.RecordBatch | None:
        import pyarrow as pa

        try:
            return next(self._reader, None)
        except (OSError, pa.ArrowException) as error:
            raise StreamError(str(error)) from None

    def _call(self, work: Callable[[], Any]) -> Any:
        try:
            return self._calls.call(work)
        except Exception as error:
            raise self._translated(error) from None
