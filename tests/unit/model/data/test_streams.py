from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data import streams, synthetic
from model.data.marks import UNKNOWN
from model.errors import SettingError, StreamError, TableError


def rewrite(folder: Path, out: Path, change) -> Path:  # type: ignore[no-untyped-def]
    """The slices of `folder`, changed, in another folder."""
    out.mkdir(parents=True)
    pq.write_table(change(pq.read_table(folder / "slices.parquet")), out / "slices.parquet")
    return out


def replace(table: pa.Table, column: str, values: object) -> pa.Table:
    index = table.schema.get_field_index(column)
    return table.set_column(index, table.schema.field(column), pa.array(values).cast(table.schema.field(column).type))


def test_a_recording_is_cut_in_time_into_three_parts_that_follow_each_other(dataset: streams.Dataset) -> None:
    (train,), (valid,), (test,) = dataset.train, dataset.valid, dataset.test
    assert (train.start, train.stop, valid.stop, test.stop) == (0, 14_000, 17_000, 20_000)
    assert (valid.start, test.start) == (train.stop, valid.stop)


def test_the_arrays_equal_the_table(recording: Path, dataset: streams.Dataset) -> None:
    table, stream = pq.read_table(recording / "slices.parquet"), dataset.train[0].stream
    assert stream.slice_ns.tolist() == table["slice_ns"].to_pylist()
    assert [dataset.vocabulary.names[mark] for mark in stream.mark[:50]] == [
        f"{comm}#0" for comm in table["comm"].to_pylist()[:50]
    ]
    assert [streams.STATES[code] for code in stream.end_state[:50]] == table["end_state"].to_pylist()[:50]
    assert [stream.runnable(event).tolist() for event in range(50)] == table["runnable"].to_pylist()[:50]
    assert stream.wake_ns[:50].tolist() == [-1 if at is None else at for at in table["wake_ns"].to_pylist()[:50]]


def test_runnable_tids_have_their_marks(dataset: streams.Dataset) -> None:
    stream = dataset.train[0].stream
    first = stream.runnable_mark[stream.runnable_at[:-1]]
    assert np.array_equal(first, stream.mark)  # the source lists the task that is picked first


def test_a_waiting_task_has_the_name_it_had_at_that_time(recording: Path, tmp_path: Path) -> None:
    def renamed(table: pa.Table) -> pa.Table:  # one task calls itself something else from the slice 7,000 on
        comms, tids = table["comm"].to_pylist(), table["tid"].to_pylist()
        chosen = tids[7000]
        return replace(table, "comm", ["new" if r >= 7000 and tids[r] == chosen else c for r, c in enumerate(comms)])

    loaded = streams.load([rewrite(recording, tmp_path / "renamed", renamed)])
    stream, names = loaded.train[0].stream, loaded.vocabulary.names
    tid = stream.tid[7000]
    event = np.repeat(np.arange(len(stream)), np.diff(stream.runnable_at))
    for before, row in ((True, event <= 7000), (False, event > 7000)):
        waiting_as = {names[mark] for mark in stream.runnable_mark[row & (stream.runnable_tid == tid)]}
        assert len(waiting_as) == 1
        assert ("new#0" in waiting_as) != before


def test_a_task_that_has_not_run_yet_waits_under_its_first_name(recording: Path, tmp_path: Path) -> None:
    def guest(table: pa.Table) -> pa.Table:  # waits from the start, and runs late; another never runs
        lists = [[*tids, 999, 998] for tids in table["runnable"].to_pylist()]
        comms, tids = table["comm"].to_pylist(), table["tid"].to_pylist()
        comms[9000:9002], tids[9000:9002] = ["early", "later"], [999, 999]
        column = table.schema.get_field_index("runnable")
        table = table.set_column(column, "runnable", pa.array(lists, pa.list_(pa.int32())))
        return replace(replace(table, "comm", comms), "tid", tids)

    loaded = streams.load([rewrite(recording, tmp_path / "guest", guest)])
    stream, names = loaded.train[0].stream, loaded.vocabulary.names
    waiting = [names[stream.runnable_mark[stream.runnable_at[event + 1] - 2]] for event in (0, 9000, 9001, 9002)]
    assert waiting == ["early#0", "early#0", "early#0", "later#0"]
    assert stream.runnable_mark[stream.runnable_at[1] - 1] == UNKNOWN


def test_the_vocabulary_has_no_marks_of_the_test_part(recording: Path, tmp_path: Path) -> None:
    def late_guest(table: pa.Table) -> pa.Table:
        comms, tids = table["comm"].to_pylist(), table["tid"].to_pylist()
        comms[-5:], tids[-5:] = ["late"] * 5, [999] * 5
        return replace(replace(table, "comm", comms), "tid", tids)

    loaded = streams.load([rewrite(recording, tmp_path / "late", late_guest)])
    assert not any("late" in name for name in loaded.vocabulary.names)
    assert (loaded.test[0].of(loaded.test[0].stream.mark)[-5:] == UNKNOWN).all()


def test_no_cpu_is_trained_on_another_cpus_future(recording: Path, tmp_path: Path) -> None:
    def two_cpus(table: pa.Table) -> pa.Table:  # the second falls silent after a third of the recording
        cpus = np.where((np.arange(len(table)) % 3 == 0) & (np.arange(len(table)) < 7000), 1, 0)
        return replace(table, "cpu", cpus)

    loaded = streams.load([rewrite(recording, tmp_path / "two", two_cpus)])
    latest = max(segment.of(segment.stream.start_ns).max() for segment in loaded.train)
    assert latest < min(segment.of(segment.stream.start_ns).min() for segment in (*loaded.valid, *loaded.test))
    assert {segment.stream.cpu for segment in loaded.train} == {0, 1}
    assert {segment.stream.cpu for segment in loaded.test} == {0}


def test_rows_out_of_time_order_are_sorted(recording: Path, dataset: streams.Dataset, tmp_path: Path) -> None:
    shuffled = rewrite(recording, tmp_path / "mixed", lambda t: t.take(np.random.default_rng(0).permutation(len(t))))
    assert np.array_equal(streams.load([shuffled]).train[0].stream.mark, dataset.train[0].stream.mark)


def test_a_last_slice_that_never_ended_is_left_out(recording: Path, tmp_path: Path) -> None:
    def open_end(table: pa.Table) -> pa.Table:
        return replace(table, "slice_ns", [*table["slice_ns"].to_pylist()[:-1], None])

    assert len(streams.load([rewrite(recording, tmp_path / "open", open_end)]).train[0].stream) == 19_999


def test_plain_text_columns_read_like_dictionaries(recording: Path, dataset: streams.Dataset, tmp_path: Path) -> None:
    def plain(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index("comm")
        return table.set_column(index, "comm", table["comm"].cast(pa.string()))

    loaded = streams.load([rewrite(recording, tmp_path / "plain", plain)])
    assert np.array_equal(loaded.train[0].stream.mark, dataset.train[0].stream.mark)


def test_several_recordings_share_one_vocabulary(recording: Path, source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "second", source, 3000, seed=9)
    loaded = streams.load([recording, tmp_path / "second"])
    assert loaded.recordings == ("000_known", "second")
    assert [len(segment) for segment in loaded.train] == [14_000, 2_100]


def test_other_recordings_are_tested_whole_and_never_learned_from(
    recording: Path, source: synthetic.Source, tmp_path: Path
) -> None:
    synthetic.write(tmp_path / "other", synthetic.Source(tasks=7, seed=1), 3000, seed=9)
    loaded = streams.across([recording], [tmp_path / "other"])
    assert [len(segment) for segment in (*loaded.train, *loaded.valid, *loaded.test)] == [17_000, 3_000, 3_000]
    assert len(loaded.vocabulary) == 1 + source.tasks
    assert (loaded.test[0].stream.mark == UNKNOWN).any()


def test_a_recording_cannot_be_on_both_sides(recording: Path) -> None:
    with pytest.raises(SettingError, match="both learned from and tested on"):
        streams.across([recording], [recording])
    with pytest.raises(SettingError, match="one of the two sides is empty"):
        streams.across([recording], [])


def test_an_empty_recording_is_refused_with_its_folder(recording: Path, tmp_path: Path) -> None:
    empty = rewrite(recording, tmp_path / "empty", lambda table: table.slice(0, 0))
    with pytest.raises(StreamError, match=r"empty: 0 slices: expected at least 100"):
        streams.load([empty])


def test_no_recordings_at_all_are_refused() -> None:
    with pytest.raises(StreamError, match="no recordings"):
        streams.load([])


def test_a_missing_table_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"slices\.parquet: no such table"):
        streams.load([tmp_path])


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slices.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(TableError, match="not a readable Parquet file"):
        streams.load([tmp_path])


def test_a_missing_column_is_named(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="lacks the columns end_state"):
        streams.load([rewrite(recording, tmp_path / "less", lambda table: table.drop_columns(["end_state"]))])


def test_an_unknown_schema_version_is_refused(recording: Path, tmp_path: Path) -> None:
    newer = rewrite(recording, tmp_path / "newer", lambda t: t.replace_schema_metadata({"schema_version": "99"}))
    with pytest.raises(TableError, match="schema version 99: this version reads 1"):
        streams.load([newer])


@pytest.mark.parametrize("split", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_shares_that_do_not_divide_a_recording_are_refused(recording: Path, split: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="three positive shares"):
        streams.load([recording], split=split)


def test_a_slice_of_zero_length_has_a_logarithm(dataset: streams.Dataset) -> None:
    stream = dataclasses.replace(dataset.train[0].stream, slice_ns=np.array([0, 1, 2500]))
    assert stream.slice_us().tolist() == [0.001, 0.001, 2.5]
