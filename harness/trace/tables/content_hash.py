"""The SHA-256 of what a table holds, which is the same whichever version of pyarrow wrote the file."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of the rows of a table, of its columns' names and types, and of what its metadata say.

    How the rows are grouped, encoded and compressed does not count. Raises OSError or pyarrow.ArrowException.
    """
    parts: defaultdict[str, Any] = defaultdict(hashlib.sha256)
    with pa.OSFile(os.fsencode(path)) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
        schema = file.schema_arrow
        for group in range(file.num_row_groups):
            for name, column in zip(schema.names, file.read_row_group(group).columns, strict=True):
                for chunk in column.chunks:
                    _add(parts, name, chunk)
    about = sorted(item for item in (schema.metadata or {}).items() if not item[0].startswith(b"ARROW:"))
    columns = [(field.name, str(field.type)) for field in schema]
    rows = sorted((name, part.hexdigest()) for name, part in parts.items())
    return hashlib.sha256(repr((about, columns, rows)).encode()).hexdigest()


def _add(parts: defaultdict[str, Any], name: str, values: pa.Array) -> None:
    """Add values to the parts of a column: which are null, the others, and of lists and texts how long each is."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    parts[f"{name} valid"].update(values.is_valid().to_numpy(zero_copy_only=False).tobytes())
    values = values.drop_null()
    if pa.types.is_list(values.type):
        _add(parts, f"{name} length", pc.list_value_length(values))
        _add(parts, f"{name} item", values.flatten())
    elif pa.types.is_string(values.type):
        _add(parts, f"{name} length", pc.binary_length(values))
        parts[name].update("".join(values.to_pylist()).encode())
    else:
        parts[name].update(values.to_numpy(zero_copy_only=False).tobytes())
