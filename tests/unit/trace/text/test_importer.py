"""What a file is, is seen from its content; what holds no events leaves no tables."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pytest
import zstandard
from imported import TEXTS, imported

from harness.errors import TraceError
from harness.trace.text.importer import import_text
from harness.trace.text.wrong_file import FORMS

PERF_DATA = b"PERFILE2" + bytes(200)
MAP = "  *A0   0.000012 secs A0 => x:1\n"


@pytest.mark.parametrize(
    "content",
    [
        PERF_DATA,
        b"2ELIFREP" + bytes(200),
        gzip.compress(PERF_DATA, mtime=0),
        lzma.compress(PERF_DATA),
        bz2.compress(PERF_DATA),
        zstandard.compress(PERF_DATA),
    ],
    ids=["plain", "big endian", "gzip", "xz", "bzip2", "zstd"],
)
def test_a_recording_given_by_mistake_is_named_with_the_command_that_reads_it(content: bytes) -> None:
    with pytest.raises(TraceError, match=r"this is a perf\.data file") as caught:
        imported(content)
    assert str(caught.value.hint).startswith("harness trace convert ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(MAP.encode(), mtime=0), "this is a gzip file"),
        (gzip.compress(MAP.encode(), mtime=0)[:14], "this is a gzip file"),
        (MAP.encode("utf-16"), "UTF-16"),
        (MAP.encode("utf-16-le"), "UTF-16"),
        (MAP.encode("utf-16-be"), "zero bytes"),
        (b"\x7fELF" + bytes(90), "zero bytes"),
        (b"hello\n", "no text that can be read"),
        (b"\x80\xff\n" * 40, "no text that can be read"),
    ],
)
def test_another_file_is_refused_with_the_forms_that_are_expected(content: bytes, why: str) -> None:
    with pytest.raises(TraceError, match=why) as caught:
        imported(content)
    assert caught.value.expected == FORMS
    assert caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n\n",
        "# ========\n# hostname : vm\n#\n",
        "[ perf record: Woken up 1 times to write data ]\n",
        "              ab     7 [001]  10.000001: sched:sched_waking: comm=nginx pid=9 prio=120 target_cpu=001\n",
        "              ab     7 [001]  10.000001: cycles: \n",
        MAP.strip("\n"),
    ],
    ids=["empty", "blank", "comments", "notes", "no switch", "no scheduler", "cut in its first line"],
)
def test_a_text_without_switches_is_an_error_and_leaves_no_table(content: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(content)
    with pytest.raises(TraceError, match="no switches in this text: it holds") as caught:
        import_text(tmp_path / "text", tmp_path / "tables")
    assert "print it with `perf script --ns`, of a recording of `perf sched record`" in str(caught.value.hint)
    assert [path for path in (tmp_path / "tables").glob("*")] == []


def test_a_last_line_without_an_end_is_left_out_and_the_text_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(MAP + MAP.replace("x:1", "x:1234")[:-3])
    result = import_text(tmp_path / "text", tmp_path / "tables")
    assert (result.rows["switches"], result.quality.truncated, result.quality.whole) == (1, True, False)
    assert any("line 2 has no end" in warning for warning in result.quality.warnings)
    with pytest.raises(TraceError, match="not whole"):
        import_text(tmp_path / "text", tmp_path / "strict", strict=True)
    assert list((tmp_path / "strict").glob("*")) == []


@pytest.mark.slow
def test_a_script_that_is_cut_anywhere_is_read_up_to_there() -> None:
    whole = (TEXTS / "hostile_names.script.txt").read_bytes()
    rows = imported(whole).switches.to_pylist()
    for size in range(1200, len(whole), 67):
        result = imported(whole[:size])
        assert result.switches.to_pylist() == rows[: result.switches.num_rows]
        assert result.quality.truncated or whole[size - 1 : size] == b"\n"


def test_the_header_of_perf_script_names_the_machine_and_recording_json_keeps_it(tmp_path: Path) -> None:
    header = "# hostname : box\n# os release : 5.10.0\n# nrcpus online : 2\n# cmdline : perf record -a \n"
    script = (TEXTS / "hostile_names.script.txt").read_text()
    (tmp_path / "text").write_text(header + script)
    result = import_text(tmp_path / "text", tmp_path / "tables")
    assert (result.header.hostname, result.header.os_release, result.header.nrcpus) == ("box", "5.10.0", 2)
    assert result.header.cmdline == ("perf", "record", "-a")
    kept = json.loads((tmp_path / "tables" / "recording.json").read_text())
    assert kept["header"]["os_release"] == "5.10.0"
    assert kept["quality"]["whole"] is True


def test_warnings_of_perf_are_passed_on_and_a_killed_recorder_is_named() -> None:
    said = (
        "WARNING: The perf.data file's data size field is 0 which is unexpected.\n"
        "Was the 'perf record' command properly terminated?\n"
        "Warning:\n18 out of order events recorded.\n\nWarning: 3 unprocessable samples recorded.\n"
        "  INFO: 0.1% unordered timestamps (1 out of 1000)\n'trace' not valid for hardware events. Ignoring.\n"
    )
    quality = imported(said + MAP).quality
    assert (quality.killed, quality.decode_errors, quality.whole) == (True, 3, False)
    assert "perf says: 18 out of order events recorded." in quality.warnings
    assert "perf says: 0.1% unordered timestamps (1 out of 1000)" in quality.warnings


@pytest.mark.parametrize(
    "said", ["LOST 12 events!\nLOST 5 events!\n", "Warning: Processed 34 samples and lost 50,00%!\n"]
)
def test_every_way_in_which_perf_counts_losses_is_read(said: str) -> None:
    assert imported(MAP + said).quality.lost_events == 17


def test_chunks_alone_are_counted_as_gaps() -> None:
    quality = imported(MAP + "Warning: Processed 5922 events and lost 64 chunks!\n\nCheck IO/CPU overload!\n").quality
    assert (quality.lost_events, quality.lost_chunks, quality.whole) == (0, 64, False)


def test_tables_of_another_recording_do_not_stay_beside_those_of_a_text(tmp_path: Path) -> None:
    import_text(TEXTS / "hostile_names.script.txt", tmp_path)
    import_text(TEXTS / "windows.map.txt", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"switches.parquet", "recording.json"}


def test_csv_tables_of_another_recording_do_not_stay_beside_those_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "recording.json").write_text("{}")
    (tmp_path / "switches.csv").write_text("of another recording")
    import_text(TEXTS / "hostile_names.script.txt", tmp_path)
    assert not (tmp_path / "switches.csv").exists()


@pytest.mark.parametrize(
    "line",
    [
        MAP[:24] + " " * 200_000 + "x",
        " " * 200_000 + "x",
        "x\n" + " " * 200_000 + "7 [001] 1.000000: a: ",
        "failed to open " * 20_000,
        "\x1b[" * 100_000,
        "[000] a " * 30_000,
    ],
    ids=["blanks after secs", "blanks", "blanks before a head", "notes", "escapes", "CPUs"],
)
@pytest.mark.parametrize("start", ["hostile_names.script.txt", "windows.map.txt"])
def test_a_line_of_one_kind_of_text_again_and_again_is_refused_at_once(line: str, start: str) -> None:
    with pytest.raises(TraceError):
        imported((TEXTS / start).read_bytes() + line.encode() + b"\n" + MAP.encode())


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(TraceError, match="cannot read the text"):
            import_text(path, tmp_path / "tables")


def test_an_endless_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(MAP + "x" * (2 << 20))
    with pytest.raises(TraceError, match="more than 1048576 bytes"):
        import_text(tmp_path / "text", tmp_path / "tables")
