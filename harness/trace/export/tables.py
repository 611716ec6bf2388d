"""Every table as CSV or Parquet, one file each, into a folder, in memory that does not grow with the recording.

Beside the tables lies `recording.json`, as `convert` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from harness.errors import HostError
from harness.files import as_host_error, atomic_file, used_folder
from harness.temporary import held_folder
from harness.trace.converter import ConvertedRecording, convert
from harness.trace.export import Exported, ReadOptions
from harness.trace.recording_file import remove_former, without_tables, write_recording_file

_BATCH_ROWS = 1 << 14  # few, because runnable sets take many times more memory as text than as numbers


def export(recording: Path, target: Path, kind: str, options: ReadOptions) -> Exported:
    """Write `switches.csv` (or `.parquet`, with `about` in its metadata) and so on into the folder `target`."""
    if kind == "parquet":
        converted = _convert(recording, target, options)
        return Exported(list(converted.paths.values()), converted.quality)
    with used_folder(target), _temporary_folder(target) as folder, _target_named(folder, target):
        converted = _convert(recording, folder, options)
        written = {target / f"{name}.csv": table for name, table in converted.paths.items()}
        facts = remove_former(target, without_tables(converted.facts), list(written))
        for path, table in written.items():
            _write_csv(table, path)
        write_recording_file(target, facts, list(written))
    return Exported(list(written), converted.quality)


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    with ExitStack() as held:
        with as_host_error(target):
            folder = held.enter_context(held_folder(target, "tables"))
        yield folder


@contextmanager
def _target_named(temporary: Path, target: Path) -> Iterator[None]:
    """Put the folder that the caller knows in the place of the temporary one in errors."""
    try:
        yield
    except HostError as error:
        error.where = (error.where or "").replace(str(temporary), str(target))
        raise


def _convert(recording: Path, folder: Path, options: ReadOptions) -> ConvertedRecording:
    return convert(recording, folder, **vars(options))


def _write_csv(table: Path, path: Path) -> None:
    with (
        atomic_file(path) as file,
        table.open("rb") as raw,
        pq.ParquetFile(raw, page_checksum_verification=True) as source,
    ):
        writer = pc_csv.CSVWriter(file, _without_lists(source.schema_arrow.empty_table()).schema)
        for batch in source.iter_batches(_BATCH_ROWS):
            writer.write_table(_without_lists(pa.Table.from_batches([batch])))
        writer.close()


def _without_lists(table: pa.Table) -> pa.Table:
    """Turn the tids of a runnable set into one text with spaces, because CSV has no lists."""
    columns = []
    for field, values in zip(table.schema, table.columns, strict=True):
        if pa.types.is_list(field.type):
            values = pc.binary_join(values.cast(pa.list_(pa.string())), " ")
        elif pa.types.is_dictionary(field.type):
            values = values.cast(pa.string())
        columns.append(values)
    return pa.table(columns, names=table.schema.names)
