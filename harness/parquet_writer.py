"""A writer of Parquet files that a stop signal may end at any moment."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq


class ParquetWriter(pq.ParquetWriter):
    """Writes Parquet, compressed and with checksums. Only its `with` block closes it.

    The writer of pyarrow also closes itself when nothing refers to it any more: after a signal that may be later than
    its file was closed, and then Python prints a traceback.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, compression="zstd", write_page_checksum=True, **options)

    def __del__(self) -> None:
        """Leave a file that was not finished as it is; whoever opened it removes it."""
