"""What is read of a table is what was written, or an error that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kept import unpacked_into
from shorten import shortened

from harness.trace import convert
from model import jobs
from model.data import parquet, unchanged
from model.errors import TableError
from model.files import sealed
from model.jobs import Job
from model.scoring.outcomes import read_outcomes

FOOTER_LENGTH = 8  # bytes: the length of the footer and the magic at the end


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the first 600 records of a real recording."""
    folder = tmp_path_factory.mktemp("tables")
    recording = unpacked_into(folder, "nginx_ab_one_cpu")
    recording.write_bytes(shortened(recording.read_bytes(), 600))
    convert(recording, folder / "out")
    return folder / "out"


def flipped(path: Path, positions: Iterable[int]) -> Iterator[int]:
    """Flip one bit of a file after the other; yield the position of its byte while it is flipped."""
    whole = path.read_bytes()
    for position in positions:
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        unchanged._sha256.cache_clear()  # a file that changes twice within one tick of its time looks unchanged
        yield position
    path.write_bytes(whole)


def footer_begins(path: Path) -> int:
    content = path.read_bytes()
    return len(content) - FOOTER_LENGTH - int.from_bytes(content[-FOOTER_LENGTH:-4], "little")


@pytest.mark.parametrize("name", ["slices", "wakeups", "runtimes"])
def test_a_flipped_bit_anywhere_in_a_table_is_an_error_that_names_the_file(name: str, tables: Path) -> None:
    path = tables / f"{name}.parquet"
    for position in flipped(path, range(0, path.stat().st_size, 7)):
        with pytest.raises(TableError) as refused:
            parquet.read(tables, name)
        assert f"{path}: not " in str(refused.value), position
        assert str(refused.value).endswith("convert the recording again")


def ends_of_pages(path: Path) -> set[int]:
    """The positions of the last bytes of every column, which are values and no header of a page."""
    metadata = pq.ParquetFile(path).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    begins = [(each.dictionary_page_offset or each.data_page_offset) for each in columns]
    return {
        begin + each.total_compressed_size - back
        for begin, each in zip(begins, columns, strict=True)
        for back in range(1, 9)
    }


def test_page_checksums_alone_find_a_flipped_bit_in_the_values(tables: Path, tmp_path: Path) -> None:
    alone = tmp_path / "slices.parquet"
    shutil.copy(tables / "slices.parquet", alone)
    values = ends_of_pages(alone)
    for _ in flipped(alone, values):
        with pytest.raises(TableError, match=r"slices\.parquet: not a readable Parquet file .*CRC checksum"):
            parquet.read(tmp_path, "slices")
    assert len(values) > 50


def test_every_reader_of_a_table_finds_that_it_was_changed(tables: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tables, tmp_path / "copy"))
    shutil.copy(tables / "runtimes.parquet", copy / "wakeups.parquet")
    pq.write_table(pq.read_table(copy / "slices.parquet").slice(1), copy / "slices.parquet")
    for read in (
        lambda: parquet.read(copy, "slices"),
        lambda: list(parquet.chunks(copy, "slices", 100)),
        lambda: parquet.about(copy, "slices"),
        lambda: parquet.read(copy, "wakeups"),
        lambda: jobs.run(Job((copy,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / "out")),
    ):
        with pytest.raises(TableError, match=r"its SHA-256 differs.*convert the recording again"):
            read()
    assert not (tmp_path / "out").exists()


def test_tables_of_a_version_that_kept_no_hashes_still_open(tables: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(tables, tmp_path / "old"))
    table = parquet.read(tables, "slices")
    pq.write_table(table, old / "slices.parquet", compression="zstd")
    facts = json.loads((old / "recording.json").read_bytes())
    for without in ({**facts, "table_sha256": {}}, {"schema_version": 1, "header": facts["header"]}, None):
        (old / "recording.json").unlink(missing_ok=True)
        if without:
            (old / "recording.json").write_text(json.dumps(sealed(without)))
        assert parquet.read(old, "slices").equals(table)


def test_every_table_of_a_conversion_has_checksums_and_is_the_one_that_recording_json_names(tables: Path) -> None:
    hashes = json.loads((tables / "recording.json").read_bytes())["table_sha256"]
    assert set(hashes) == {path.name for path in tables.glob("*.parquet")}
    for path in tables.glob("*.parquet"):
        for _ in flipped(path, sorted(ends_of_pages(path))[-1:]):
            with pytest.raises(OSError, match=r"CRC checksum"):
                pq.read_table(path, page_checksum_verification=True)


def test_a_flipped_bit_in_outcomes_is_an_error_and_the_model_is_trained_again(
    short_recording: Path, tmp_path: Path
) -> None:
    job = Job((short_recording,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / "out")
    jobs.run(job)
    before = read_outcomes(job.out_dir)
    path = job.out_dir / "outcomes.parquet"
    for position in flipped(path, range(0, path.stat().st_size, 101)):
        with pytest.raises(TableError, match=r"outcomes\.parquet: .*: train again"):
            read_outcomes(job.out_dir)
        assert jobs.stored(job) is None, position
    assert jobs.done(job)
    assert read_outcomes(job.out_dir).bits.tolist() == before.bits.tolist()


def test_outcomes_without_hashes_have_checksums_of_their_own(short_recording: Path, tmp_path: Path) -> None:
    job = Job((short_recording,), "markov", 0, "task", (0.7, 0.15, 0.15), tmp_path / "out")
    jobs.run(job)
    (job.out_dir / "scores.json").unlink()
    path = job.out_dir / "outcomes.parquet"
    assert len(read_outcomes(job.out_dir).bits)
    content = bytearray(path.read_bytes())
    content[footer_begins(path) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TableError, match="train again"):
        read_outcomes(job.out_dir)
