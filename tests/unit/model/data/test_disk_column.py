"""Columns that lie in unnamed files."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from locations import DATA

from model.data.disk_column import DiskColumn
from model.errors import StreamError


@pytest.mark.parametrize("short", [0, 20, 1000])  # in a file from the start, later, never
def test_a_column_outlives_its_file_and_may_be_empty(short: int) -> None:
    growing, empty = DiskColumn(np.int32, short), DiskColumn(np.int64)
    for begin in (0, 3):
        growing.append(np.arange(begin, begin + 3, dtype=np.int64))
    column = growing.whole()
    assert (column.dtype, column.tolist(), len(empty.whole())) == (np.int32, [0, 1, 2, 3, 4, 5], 0)
    column[0] = 7  # no other array shares it
    assert column[0] == 7


def mapped_kb() -> int:
    """Return the KB that this process has mapped from files without a name."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    spans = [line.split()[0].split("-") for line in maps if "harness-column-" in line or line.endswith("(deleted)")]
    return sum(int(end, 16) - int(begin, 16) for begin, end in spans) // 1024


def open_unnamed_files() -> int:
    """Count the open files of this process that have no name; sockets and pipes of other tests do not count."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing itself was open
            count += os.readlink(f"/proc/self/fd/{number}").endswith("(deleted)")
    return count


def test_a_long_column_lies_in_a_file_and_is_unmapped_with_its_last_view() -> None:
    gc.collect()  # columns of other tests must not be unmapped meanwhile
    before, opened = mapped_kb(), open_unnamed_files()
    growing = DiskColumn(np.int64)
    for begin in range(0, 4_000_000, 500_000):
        growing.append(np.arange(begin, begin + 500_000))
    column = growing.whole()
    view = column[-2:]
    assert not column.flags.owndata
    assert mapped_kb() - before >= 31_000
    assert open_unnamed_files() == opened
    del column, growing
    assert view.tolist() == [3_999_998, 3_999_999]
    del view
    assert mapped_kb() == before


MANY_CPUS = """
import resource, sys
from pathlib import Path
from model.data import disk_column, streams
disk_column.DiskColumn.__init__.__defaults__ = (0,)  # every column is a long one
streams.load([Path(sys.argv[1])])  # imports on the way are not counted
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
found = streams.load([Path(folder) for folder in sys.argv[1:]])
print(len(found.test), sum(int(segment.stream.slice_ns.sum()) for segment in found.test))
"""


def test_recordings_of_many_cpus_keep_no_file_open(tmp_path: Path) -> None:
    table = pq.read_table(DATA / "cfs_6_1" / "slices.parquet")
    cpus = pa.array(np.arange(len(table)) % 24).cast(pa.int16())
    table = table.set_column(table.schema.get_field_index("cpu"), table.schema.field("cpu"), cpus)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        pq.write_table(table, folder / "slices.parquet")
    process = subprocess.run([sys.executable, "-c", MANY_CPUS, *folders], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    total = pc.sum(table["slice_ns"]).as_py()
    assert process.stdout.split() == ["48", str(2 * total)]


def test_a_missing_temporary_folder_is_named_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    with pytest.raises(StreamError, match=r"gone: No such file or directory: .+ name another folder, on a disk"):
        DiskColumn(np.int8, 0).append(np.zeros(1))


def test_a_full_disk_is_reported_with_advice() -> None:
    script = (
        "import resource, signal, sys\nimport numpy as np\nfrom model.data.disk_column import DiskColumn\n"
        "from model.errors import StreamError\nsys.dont_write_bytecode = True\n"  # half a file of that would stay
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "column = DiskColumn(np.int64, 0)\n"
        "try:\n    column.append(np.zeros(10_000))\n    column.whole()\nexcept StreamError as error:\n    print(error)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "make room, or name another folder, on a disk, with TMPDIR" in process.stdout, process.stderr
    assert "Traceback" not in process.stderr
