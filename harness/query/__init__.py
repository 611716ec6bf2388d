"""SQL over the tables of runs, in the files where they lie."""

from harness.query.database import RunDatabase
from harness.query.result import QueryResult

__all__ = ["QueryResult", "RunDatabase"]
