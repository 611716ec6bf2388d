"""`harness.open_recording` and `harness.convert`: real recordings of every kind, whole, damaged and changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from kept import unpacked_into
from locations import DATA
from written_before import TRIAL, unpack

import harness
from harness.errors import StoreError, TraceError, UsageError

NAME = "ubuntu_4_15_0_147_nginx_ab"


@pytest.fixture(scope="module")
def perf_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_into(tmp_path_factory.mktemp("recorded"), NAME)


@pytest.fixture(scope="module")
def converted(perf_data: Path) -> Path:
    harness.convert(perf_data, perf_data.parent / "tables")
    return perf_data.parent / "tables"


@pytest.fixture
def tables(converted: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(converted, tmp_path / "tables"))


def test_importing_the_packages_and_listing_their_names_loads_nothing_heavy() -> None:
    code = (
        "import sys, harness, model; dir(harness), dir(model), harness.__version__; harness.errors, model.errors;"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'torch', 'scipy', 'pydantic', 'rich', 'typer'};"
        "print(sorted(heavy & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_a_package_does_not_offer_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'opn_run'"):
        _ = harness.opn_run


def test_a_recording_in_memory_has_the_tables_that_it_is_converted_to(perf_data: Path, converted: Path) -> None:
    memory, folder = harness.open_recording(perf_data), harness.open_recording(converted)
    assert {*memory.tables} == {*folder.tables}
    for name in memory.tables:
        assert memory.frame(name).equals(folder.frame(name)), name
    assert (memory.kernel, memory.seconds, memory.switches, memory.whole) == (
        *(folder.kernel, folder.seconds, folder.switches),
        True,
    )


def test_a_frame_loses_no_nanosecond_where_a_column_has_gaps(perf_data: Path) -> None:
    recording = harness.open_recording(perf_data)
    frame, table = recording.frame("slices", ["wake_ns", "comm"]), recording.table("slices", ["wake_ns"])
    assert list(frame.columns) == ["wake_ns", "comm"]
    assert str(frame.wake_ns.dtype) == "Int64"
    assert frame.wake_ns.dropna().tolist() == table["wake_ns"].drop_null().to_pylist()


def test_relations_of_two_tables_join_and_hold_every_row(converted: Path) -> None:
    recording = harness.open_recording(converted)
    slices, wakeups = recording.relation("slices"), recording.relation("wakeups", ["tid"])
    assert slices.count("*").fetchall() == [(len(recording.table("slices")),)]
    joined = slices.set_alias("slices").join(wakeups.set_alias("wakeups"), "slices.tid = wakeups.tid", how="semi")
    woken = recording.frame("slices").tid.isin(recording.frame("wakeups").tid)
    assert joined.count("*").fetchall() == [(woken.sum(),)]


def test_a_relation_belongs_to_the_connection_that_is_asked_for(converted: Path) -> None:
    with duckdb.connect() as connection:
        relation = harness.open_recording(converted).relation("switches", connection=connection)
        relation.create_view("switches")
        assert connection.sql("SELECT count(*) FROM switches").fetchall() == [(3544,)]


def test_what_a_notebook_shows_of_a_recording_is_what_it_is(converted: Path) -> None:
    text = harness.open_recording(converted)._repr_html_()
    for words in ("3,544", "4.15.0-147-generic", "switches, wakeups", '<th scope="row">whole</th>'):
        assert words in text


def test_its_repr_says_what_it_is(converted: Path) -> None:
    assert (
        repr(harness.open_recording(converted))
        == f"Recording('{converted}': 3,544 switches in 2.526 s, Linux 4.15.0-147-generic, whole)"
    )


def test_what_a_recording_cannot_tell_is_no_table_of_it(tmp_path: Path) -> None:
    recording = harness.open_recording(unpacked_into(tmp_path, "one_process"))
    assert "slices" not in recording.tables
    assert not recording.whole
    assert recording.warnings
    with pytest.raises(UsageError, match="there is no table 'slices'"):
        recording.frame("slices")


def test_its_repr_commands_no_terminal(tables: Path) -> None:
    (tables / "recording.json").write_text('{"header": {"os_release": "6.1\\u001b[2J"}}')
    assert "\x1b" not in repr(harness.open_recording(tables))


def test_tables_without_facts_are_not_judged() -> None:
    recording = harness.open_recording(DATA / "cfs_6_1")
    assert (recording.whole, recording.kernel, recording.switches, recording.warnings) == (None, None, None, ())
    assert repr(recording).endswith("wakeups runtimes slices, not judged)")


def test_strict_refuses_a_recording_that_is_not_whole(tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, "lost_events")
    with pytest.raises(TraceError, match="not whole"):
        harness.open_recording(path, strict=True)
    assert harness.open_recording(path).warnings[0].startswith("not whole: ")


@pytest.mark.parametrize("name", ["switch", "", "../tables/switches", "slices.parquet"])
def test_a_table_that_it_does_not_have_is_named_with_those_that_there_are(converted: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no table") as caught:
        harness.open_recording(converted).table(name)
    assert "switches, wakeups" in str(caught.value)


def test_a_column_that_it_does_not_have_is_named_with_those_that_there_are(converted: Path) -> None:
    with pytest.raises(UsageError, match="there is no column 'time'") as caught:
        harness.open_recording(converted).frame("switches", ["time"])
    assert "time_ns" in str(caught.value)


def test_a_path_without_a_recording_says_what_to_open_instead(tmp_path: Path, converted: Path) -> None:
    run = unpack(tmp_path) / Path(TRIAL).parts[0]
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("perf script\n")
    wrong = {
        tmp_path / "missing": "there is no such file",
        run: r"open_run",
        tmp_path / "empty": "no recording",
        tmp_path / ("x" * 300): "there is no such file",
        tmp_path / "text": "PERF",
        converted / "slices.parquet": "PERF",
    }
    for path, words in wrong.items():
        with pytest.raises((UsageError, TraceError), match=words) as caught:
            harness.open_recording(path)
        assert str(path) in str(caught.value)


def test_a_changed_table_is_refused_and_its_neighbours_are_read(tables: Path) -> None:
    content = bytearray((tables / "switches.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (tables / "switches.parquet").write_bytes(content)
    recording = harness.open_recording(tables)
    with pytest.raises(TraceError, match="changed or damaged"):
        recording.table("switches")
    assert len(recording.frame("wakeups"))


CONTENTS = (
    "{",
    "[]",
    '{"sha256": "0", "quality": {"whole": true}}',
    '{"quality": 1}',
    '{"header": []}',
    '{"damage": 2}',
    '{"quality": {"counts": 3}}',
    '{"quality": {"span_ns": "x"}}',
    '{"table_sha256": {"switches.parquet": 1}}',
)


@pytest.mark.parametrize("content", CONTENTS)
def test_facts_that_are_not_as_written_are_an_error_but_not_of_repr(tables: Path, content: str) -> None:
    (tables / "recording.json").write_text(content)
    recording = harness.open_recording(tables)
    with pytest.raises(StoreError, match=r"recording\.json"):
        _ = recording.facts
    assert repr(recording).startswith("Recording(")


@pytest.mark.parametrize("name", ["cpu_clock", "no_samples", "from_a_pipe"])
def test_a_recording_without_an_event_of_the_scheduler_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(TraceError, match="no scheduler events"):
        harness.open_recording(unpacked_into(tmp_path, name))


def test_tables_of_a_trial_s_recording_keep_the_clock_of_its_guest(perf_data: Path, tmp_path: Path) -> None:
    recording = Path(shutil.copy(perf_data, tmp_path / "perf.data"))
    (tmp_path / "trial.json").write_text('{"machine": {"clock": "counted", "cpu_speed": 500}}')
    metadata = harness.convert(recording, tmp_path / "tables").table("slices").schema.metadata
    assert (metadata[b"clock"], metadata[b"cpu_speed"]) == (b"counted", b"500")


def test_a_text_that_perf_printed_becomes_tables(tmp_path: Path) -> None:
    recording = harness.import_text(DATA / "texts" / "hostile_names.script.txt", tmp_path / "tables")
    assert "slices" in recording.tables
    assert len(recording.frame("switches")) == recording.switches


def test_tables_are_decoded_already(converted: Path) -> None:
    with pytest.raises(UsageError, match="decoded already"):
        harness.open_recording(converted, states="shifted")
