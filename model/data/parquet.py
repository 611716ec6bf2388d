"""Reads the Parquet tables of one recording, and refuses those it does not know."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.unchanged import require_unchanged
from model.errors import TableError

SCHEMA_VERSIONS = (b"1",)
COLUMNS = {
    "slices": ("start_ns", "slice_ns", "cpu", "comm", "tid", "prio", "end_state", "wake_ns", "runnable", "contested"),
    "switches": ("time_ns", "cpu", "prev_comm", "prev_tid", "prev_prio", "prev_state", "next_comm", "next_tid"),
    "wakeups": ("time_ns", "cpu", "kind", "comm", "tid", "prio", "target_cpu"),
    "runtimes": ("time_ns", "cpu", "comm", "tid", "runtime_ns", "vruntime_ns"),
}
TEXTS = frozenset({"comm", "prev_comm", "next_comm", "kind", "end_state", "prev_state"})


def read(folder: Path, name: str) -> pa.Table:
    """Read table `name` of the recording in `folder`. TableError if it is missing, unreadable or of another schema."""
    with _opened(folder, name) as file:
        return file.read(columns=[column for column in file.schema_arrow.names if column in COLUMNS[name]])


def chunks(folder: Path, name: str, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the same table, or some columns of it, as tables of at most `rows`. Raises TableError."""
    with _opened(folder, name) as file:
        for group in range(file.num_row_groups):  # a reader of all groups would keep them all in memory
            for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns or COLUMNS[name])):
                yield pa.Table.from_batches([batch])


def about(folder: Path, name: str) -> dict[str, str]:
    """Return what the metadata of table `name` say of the recording, such as its clock. Raises TableError."""
    with _opened(folder, name) as file:
        entries = file.schema_arrow.metadata or {}
        known = {key: value for key, value in entries.items() if not key.startswith(b"ARROW:")}
        return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in known.items()}


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[pq.ParquetFile]:
    path = Path(folder) / f"{name}.parquet"
    if not path.is_file():
        raise TableError(f"{path}: no such table: expected the folder of a converted recording")
    try:
        require_unchanged(path)
        with (
            pa.OSFile(os.fsencode(path)) as source,  # its name may be no UTF-8
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            _check(path, file.schema_arrow, COLUMNS[name])
            yield file
    except (pa.ArrowException, UnicodeError, OSError) as error:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
            raise  # this host's trouble: Arrow gives an error in the file no number
        raise TableError(f"{path}: not a readable Parquet file ({error}): convert the recording again") from error


def _check(path: Path, schema: pa.Schema, expected: tuple[str, ...]) -> None:
    version = (schema.metadata or {}).get(b"schema_version")
    if version is not None and version not in SCHEMA_VERSIONS:
        known = ", ".join(v.decode() for v in SCHEMA_VERSIONS)
        raise TableError(f"{path}: schema version {version.decode(errors='replace')}: this version reads {known}")
    missing = [column for column in expected if column not in schema.names]
    if missing:
        raise TableError(f"{path}: lacks the columns {', '.join(missing)}: convert the recording again")
    for column in expected:
        kind, check = _kind(column)
        if not check(found := schema.field(column).type):
            raise TableError(f"{path}: its column {column} holds {found}: expected {kind}; convert the recording again")


def _kind(column: str) -> tuple[str, Callable[[pa.DataType], bool]]:
    """Return what a column holds, and whether a type is that."""
    if column in TEXTS:
        return "text", _is_text
    if column == "runnable":
        return "lists of integers", lambda found: pa.types.is_list(found) and pa.types.is_integer(found.value_type)
    if column == "contested":
        return "truth values", pa.types.is_boolean
    return "integers", pa.types.is_integer


def _is_text(found: pa.DataType) -> bool:
    plain = found.value_type if pa.types.is_dictionary(found) else found
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def texts(table: pa.Table, column: str) -> list[str]:
    """Return a text column as a list, whether it is stored plain or as a dictionary."""
    values = table[column]
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    return ["" if text is None else text for text in values.to_pylist()]


def coded(table: pa.Table, column: str) -> tuple[list[str], np.ndarray]:
    """Return the texts that occur in a column, and (n,) the index of each row's; a missing one is the empty text."""
    values = table[column]
    if not pa.types.is_dictionary(values.type):
        values = pc.dictionary_encode(values)
    whole = values.unify_dictionaries().combine_chunks()
    known = whole.dictionary.to_pylist()
    return [*known, ""], pc.fill_null(whole.indices, len(known)).to_numpy(zero_copy_only=False)
