"""What a recording covers, told by how its events were opened and by its switches; all from real recordings."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kept import unpacked, unpacked_into

from harness.errors import TraceError
from harness.trace import convert, slices
from harness.trace.perf_data.header import read_header
from harness.trace.quality import TraceQuality, damage
from harness.trace.reader import read
from harness.trace.summary import summarize

SYSTEM_WIDE = (
    "compressed",
    "debian11_guest_5_10",
    "debian12_guest_nginx_ab",
    "debian13_guest_6_12",
    "from_a_pipe",
    "hostile_names",
    "lost_events",
    "sampled",
    "switches_only",
    "ubuntu_4_15_0_147_nginx_ab",
    "ubuntu_4_15_0_147_stress",
    "ubuntu_4_15_0_55_shifted",
    "wakeups_only",
    "with_period",
)
SAMPLE, FINISHED_ROUND, ID_INDEX, THREAD_MAP = 9, 68, 69, 73  # types of records
Judge = Callable[..., TraceQuality]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Read a kept recording, after a change to its bytes, and return its quality."""

    def read_quality(name: str, change: Callable[[bytes], bytes] = lambda content: content) -> TraceQuality:
        (tmp_path / name).write_bytes(change(unpacked(name)))
        return read(tmp_path / name).quality

    return read_quality


def without_threads(content: bytes) -> bytes:
    """Return the recording as perf before 4.16 wrote it: without the records that list threads."""
    changed, (offset, size) = bytearray(content), struct.unpack_from("<QQ", content, 40)
    end = offset + size
    while offset < end:
        kind, _misc, length = struct.unpack_from("<IHH", content, offset)
        if kind in (ID_INDEX, THREAD_MAP):
            struct.pack_into("<I", changed, offset, FINISHED_ROUND)
        offset += length
    return bytes(changed)


@pytest.mark.parametrize("name", SYSTEM_WIDE)
def test_a_recording_of_all_tasks_on_all_cpus_is_system_wide(name: str, judge: Judge) -> None:
    assert judge(name).scope == "system-wide"


def test_a_recording_of_one_command_has_the_switches_of_some_tasks(judge: Judge) -> None:
    quality = judge("one_command")
    assert (quality.scope, quality.run_times, quality.run_queues, quality.whole) == ("some tasks", False, False, False)
    assert quality.scope_evidence == "its events were opened on 1 thread, not on CPUs"
    assert quality.warnings == (
        "recorded without -a: only the switches of 40 tasks are in the file, because its events were opened on "
        "1 thread, not on CPUs; record with `perf sched record` or `perf record -a`",
        "how long tasks and CPUs ran, and who could run, is not known: slices and such sums are left out",
    )
    assert damage(quality) == "only the switches of some tasks recorded, 223 breaks in the chain of switches"


def test_a_recording_of_one_process_names_the_option(judge: Judge) -> None:
    quality = judge("one_process")
    assert quality.scope == "some tasks"
    assert quality.warnings[0].startswith("recorded with -p: only the switches of 1 task are in the file")


def test_without_a_list_of_threads_an_event_that_starts_at_an_exec_tells(judge: Judge) -> None:
    quality = judge("one_command", without_threads)
    assert (quality.scope, quality.scope_evidence) == (
        "some tasks",
        "its events were opened on one command, not on CPUs",
    )


@pytest.mark.parametrize("option", [b"-p", b"-q"])
def test_without_a_list_of_threads_tasks_that_never_leave_tell(option: bytes, judge: Judge) -> None:
    quality = judge("one_process", lambda content: without_threads(content).replace(b"\0-p\0", b"\0" + option + b"\0"))
    assert (quality.scope, quality.scope_evidence) == (
        "some tasks",
        "93 of 93 breaks in the chain of switches follow a switch to a task that never leaves",
    )


def test_a_filter_that_breaks_the_chain_is_named(judge: Judge) -> None:
    quality = judge("filtered")
    assert quality.scope == "some tasks"
    assert quality.scope_evidence == "perf had the option --filter, and the chain of switches breaks 114 times"


def test_an_option_that_left_nothing_out_of_the_chain_is_only_said(judge: Judge) -> None:
    quality = judge("without_perf")
    assert (quality.whole, quality.scope, quality.run_times, quality.run_queues) == (True, "unknown", True, False)
    assert quality.scope_evidence == "perf had the option --exclude-perf"
    assert quality.warnings[0] == "recorded with --exclude-perf: what it leaves out is not in the file"


def test_a_filter_for_one_cpu_does_not_pass_for_all_cpus(judge: Judge) -> None:
    quality = judge("filtered_by_cpu")
    assert (quality.scope, quality.scope_evidence) == ("unknown", "perf had the option --filter")
    assert (quality.run_times, quality.run_queues) == (True, False)


def test_breaks_in_the_chain_do_not_follow_from_a_filter_for_another_event(judge: Judge) -> None:
    quality = judge("wakeups_filtered", without_each_third_sample)
    assert quality.chain_breaks
    assert (quality.scope, quality.run_times, quality.whole) == ("unknown", True, False)


def test_slices_of_a_filtered_recording_do_not_say_who_could_run(tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, "filtered_by_cpu")
    made, whole = convert(path, tmp_path / "tables"), slices(read(path))
    assert whole["runnable"].null_count == whole.num_rows == made.rows["slices"] > 0
    assert pq.read_table(made.paths["slices"]).to_pylist() == whole.to_pylist()


def test_on_several_cpus_a_wakeup_before_its_placement_does_not_tell_where_the_task_waits(judge: Judge) -> None:
    quality = judge("recorded_twice")
    assert (quality.whole, quality.run_queues) == (True, False)
    assert any(text.startswith("neither sched_migrate_task nor sched_wakeup was") for text in quality.warnings)


def test_a_recording_of_some_cpus_says_which(judge: Judge) -> None:
    quality = judge("nginx_ab_one_cpu")
    assert (quality.scope, quality.run_times, quality.run_queues) == ("some CPUs", True, True)
    assert quality.scope_evidence == "its events were opened on 1 of 2 CPUs"
    assert any(text.startswith("recorded on 1 of 2 CPUs: all that ran on CPU 1;") for text in quality.warnings)


def test_an_event_of_perf_on_all_cpus_does_not_make_some_cpus_all(judge: Judge) -> None:
    quality = judge("nginx_ab_one_cpu", with_one_more_id_of_the_last_event)
    assert quality.scope_evidence == "its events were opened on 1 of 2 CPUs"


def test_members_of_a_group_that_is_sampled_by_its_leader_have_no_events(judge: Judge) -> None:
    quality = judge("group_leader")
    assert (quality.unrecorded, quality.run_queues, quality.run_times) == (("wakeups",), False, True)
    assert quality.warnings == (
        "sched_waking was recorded only with the leader of its group (:S), without events of its own",
        "no wakeups were recorded: the runnable tasks and delays are not known; record with `perf sched record`",
    )


def test_breaks_after_a_task_that_the_kernel_never_records_are_explained(judge: Judge) -> None:
    quality = judge("nginx_ab_one_cpu")
    assert quality.chain_breaks == 7
    assert quality.warnings[0].startswith("7 of 7 breaks in the chain of switches follow a switch to the idle task or")


def test_a_recording_of_so_many_samples_a_second_is_no_record_of_all_events(judge: Judge) -> None:
    quality = judge("sampled")
    assert (quality.sampled, quality.run_times, quality.whole) == (True, False, False)
    assert quality.warnings[0].startswith("perf kept only a sample of sched_switch, sched_waking,")
    assert damage(quality).startswith("only a sample of the events recorded")


def test_a_period_that_the_samples_hold_leaves_nothing_out(judge: Judge) -> None:
    quality = judge("with_period")
    assert (quality.sampled, quality.whole, quality.chain_breaks, quality.warnings) == (False, True, 0, ())


def test_a_recording_without_wakeups_is_whole_but_knows_no_runnable_tasks(judge: Judge) -> None:
    quality = judge("switches_only")
    assert (quality.whole, quality.run_times, quality.run_queues) == (True, True, False)
    assert quality.unrecorded == ("wakeups",)


def test_a_recording_without_switches_is_not_whole(judge: Judge) -> None:
    quality = judge("wakeups_only")
    assert (quality.whole, quality.unrecorded, damage(quality)) == (False, ("switches",), "no switches recorded")


@pytest.mark.parametrize("name", ["one_command", "sampled", "wakeups_only"])
def test_slices_that_a_recording_does_not_tell_are_refused_and_not_written(name: str, tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, name)
    with pytest.raises(TraceError, match="the slices of this recording are not known: "):
        slices(read(path))
    made = convert(path, tmp_path / "tables")
    assert (made.usage, made.idle_share) == ({}, None)
    assert "slices" not in made.paths
    assert not (tmp_path / "tables" / "slices.parquet").exists()
    assert json.loads((tmp_path / "tables" / "recording.json").read_text())["quality"]["run_times"] is False


def test_slices_without_wakeups_do_not_say_who_could_run(tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, "switches_only")
    made, whole = convert(path, tmp_path / "tables"), slices(read(path))
    assert whole.num_rows == made.rows["slices"] > 100
    assert whole["runnable"].null_count == whole["contested"].null_count == whole.num_rows
    assert pq.read_table(made.paths["slices"]).to_pylist() == whole.to_pylist()
    assert made.idle_share is not None


def test_a_summary_has_no_numbers_of_events_that_were_not_recorded(tmp_path: Path) -> None:
    counted = [summarize(unpacked_into(tmp_path, name)).by_task for name in ("switches_only", "hostile_names")]
    assert {(task.runtime_ns, task.migrations) for task in counted[0]} == {(None, None)}
    assert not any(None in (task.runtime_ns, task.migrations) for task in counted[1])


def test_switches_asked_for_in_user_space_only_are_not_recorded(judge: Judge) -> None:
    quality = judge("user_space_only")
    assert (quality.whole, quality.unrecorded) == (False, ("switches",))
    assert quality.warnings[0] == "sched_switch was recorded in user space only (:u), where it never happens"


@pytest.mark.parametrize("name", ["cpu_clock", "no_samples"])
def test_a_recording_without_scheduler_events_is_not_whole(name: str, judge: Judge) -> None:
    quality = judge(name)
    assert (quality.whole, quality.empty) == (False, True)
    assert damage(quality).startswith("no scheduler events")
    assert not any("formats" in text for text in quality.warnings)


def test_an_event_that_was_asked_for_twice_is_read_once(judge: Judge) -> None:
    quality = judge("recorded_twice")
    assert (quality.scope, quality.whole, quality.chain_breaks) == ("system-wide", True, 0)
    assert (quality.samples, quality.doubled, sum(quality.counts.values())) == (1008, 504, 504)
    assert "perf was asked for an event more than once: 504 samples that repeat others are not read" in quality.warnings


def test_two_equal_events_in_a_row_stay_two_beside_their_repeats(judge: Judge) -> None:
    quality = judge("recorded_twice", with_an_equal_event)
    assert (quality.samples, quality.doubled) == (1008, 504)


def test_events_of_one_tracepoint_that_were_filtered_apart_are_all_read(judge: Judge) -> None:
    quality = judge("filtered_apart")
    assert (quality.doubled, sum(quality.counts.values())) == (0, quality.samples)
    assert quality.scope == "some tasks"


def with_one_more_id_of_the_last_event(content: bytes) -> bytes:
    """Return the recording as perf from 6.7 on writes it with -C: its own event was opened on one more CPU."""
    attr_size, attrs, attrs_size, data, data_size = struct.unpack_from("<5Q", content, 16)
    places = [start + attr_size - 16 for start in range(attrs, attrs + attrs_size, attr_size)]
    ids = [struct.unpack_from("<QQ", content, place) for place in places]
    end = sum(ids[-1])
    changed = bytearray(content[:end] + struct.pack("<Q", 1 << 40) + content[end:])
    struct.pack_into("<Q", changed, places[-1] + 8 * (places[-1] >= end) + 8, ids[-1][1] + 8)
    struct.pack_into("<QQ", changed, 24, attrs + 8 * (attrs >= end), attrs_size)
    struct.pack_into("<QQ", changed, 40, data + 8, data_size)
    features = sum(bits.bit_count() for bits in changed[72:104])
    for place in range(data + 8 + data_size, data + 8 + data_size + 16 * features, 16):
        struct.pack_into("<Q", changed, place, struct.unpack_from("<Q", changed, place)[0] + 8)
    return bytes(changed)


@pytest.mark.parametrize("name", ["ubuntu_4_15_0_147_nginx_ab", "ubuntu_4_15_0_55_shifted"])
@pytest.mark.parametrize("kept", [0, 1, 5])
def test_wakeups_that_are_missing_are_noticed_by_the_tasks_that_run_without_them(
    kept: int, name: str, judge: Judge
) -> None:
    quality = judge(name, lambda content: with_wakeups(content, kept))
    assert (quality.lacks_wakeups, quality.run_queues, quality.run_times, quality.whole) == (True, False, True, False)
    assert damage(quality) == "wakeups missing"
    assert "times that a task slept it ran again without a recorded wakeup" in quality.warnings[-1]


def test_filtered_wakeups_are_missing(judge: Judge) -> None:
    assert judge("wakeups_filtered").lacks_wakeups


def test_numbers_that_missing_wakeups_leave_unknown_are_in_no_table(tmp_path: Path) -> None:
    path = tmp_path / "thinned"
    path.write_bytes(with_wakeups(unpacked("ubuntu_4_15_0_147_stress"), kept=5))
    made, whole, summed = convert(path, tmp_path / "tables", release_rows=500), slices(read(path)), summarize(path)
    assert made.quality.lacks_wakeups
    assert made.quality == summed.quality == read(path).quality
    assert whole["runnable"].null_count == whole.num_rows == made.rows["slices"]
    assert pq.read_table(made.paths["slices"]).to_pylist() == whole.to_pylist()
    assert {task.delays for task in summed.by_task} == {cpu.contested for cpu in summed.by_cpu} == {None}


def test_where_another_cpu_takes_and_wakes_tasks_it_is_not_known_who_waits(judge: Judge) -> None:
    quality = judge("one_of_two_cpus")
    assert (quality.scope, quality.run_times, quality.run_queues, quality.lacks_wakeups) == (
        "some CPUs",
        True,
        False,
        False,
    )
    assert "because other CPUs wake and take tasks, too" in quality.warnings[-1]


@pytest.mark.parametrize("name", ["hostile_names", "debian12_guest_nginx_ab"])  # with the span in its header; without
def test_a_time_that_cannot_be_right_is_damage(name: str, judge: Judge) -> None:
    quality = judge(name, lambda content: with_a_bit_of_a_time(content, list(samples(content))[50]))
    assert (quality.stray_times, quality.whole) == (True, False)
    assert "times damaged" in damage(quality)
    assert any(text.startswith("times are damaged: ") for text in quality.warnings)


def with_a_bit_of_a_time(content: bytes, place: int) -> bytes:
    """Return the recording with one bit of the time of a sample changed: it is after its id, ip, pid and tid."""
    changed = bytearray(content)
    changed[place + 8 + 24 + 7] ^= 1 << 3
    return bytes(changed)


def with_wakeups(content: bytes, kept: int) -> bytes:
    """Return a recording of 4.15 with only so many of each ten wakeups."""
    changed, seen = bytearray(content), 0
    formats = read_header(io.BytesIO(content), len(content)).formats or {}
    wakeups = {number for number, found in formats.items() if found.name.startswith("sched_wak")}
    for place in samples(content):
        (event,) = struct.unpack_from("<H", content, place + 60)  # after its id, ip, tid, time, cpu, period and a size
        if event in wakeups:
            seen += 1
            if seen * 7 % 10 >= kept:
                struct.pack_into("<I", changed, place, FINISHED_ROUND)
    return bytes(changed)


def without_each_third_sample(content: bytes) -> bytes:
    """Return the recording with another kind of record in the place of each third sample."""
    changed = bytearray(content)
    for place in list(samples(content))[::3]:
        struct.pack_into("<I", changed, place, FINISHED_ROUND)
    return bytes(changed)


def with_an_equal_event(content: bytes) -> bytes:
    """Return the recording with the first event of CPU 0, and its repeat, in the place of the event after it, too."""
    changed = bytearray(content)
    first = [place for place in samples(content) if content[place + 40 : place + 44] == bytes(4)]
    pairs = [first[index : index + 2] for index in range(0, len(first), 2)]
    sizes = [[struct.unpack_from("<H", content, place + 6)[0] for place in pair] for pair in pairs]
    after = next(index for index in range(1, len(pairs)) if sizes[index] == sizes[index - 1])
    for source, target, size in zip(pairs[after - 1], pairs[after], sizes[after], strict=True):
        changed[target : target + size] = content[source : source + size]
    return bytes(changed)


def samples(content: bytes) -> Iterator[int]:
    """Yield the offset of each sample record."""
    offset, size = struct.unpack_from("<QQ", content, 40)
    end = offset + size
    while offset < end:
        kind, _misc, length = struct.unpack_from("<IHH", content, offset)
        if kind == SAMPLE:
            yield offset
        offset += length
