"""Borrowed tracepoint formats: from which recording, and whether of the same kernel, is said."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest
from locations import DATA
from shorten import DATA_OFFSET, DATA_SIZE

import harness.trace
from harness.errors import TraceError
from harness.trace.tracepoint.state_reading import KERNEL, WAKEUPS


def killed(whole: bytes) -> bytes:
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    changed = bytearray(whole[: offset + size])
    struct.pack_into("<Q", changed, DATA_SIZE, 0)
    return bytes(changed)


def damaged_formats(whole: bytes) -> bytes:
    """The recording with formats that cannot be read, and all that perf wrote about the machine."""
    return whole.replace(b"\x17\x08\x44tracing", b"\x17\x08\x44tracinG")


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    path = tmp_path / "guest.perf.data"
    path.write_bytes(lzma.decompress((DATA / "debian13_guest_6_12.perf.data.xz").read_bytes()))
    return path


def written(folder: Path, content: bytes) -> Path:
    path = folder / "perf.data"
    path.write_bytes(content)
    return path


def test_a_lender_without_formats_is_an_error_that_names_it(nginx_recording: Path, tmp_path: Path) -> None:
    lender = tmp_path / "lender.perf.data"
    lender.write_bytes(killed(nginx_recording.read_bytes()))
    with pytest.raises(TraceError, match="no tracepoint formats to lend") as caught:
        harness.trace.read(lender, formats_from=lender)
    assert str(caught.value).startswith(f"{lender}: ")


def test_a_lender_of_another_kernel_is_a_warning_that_names_both(
    nginx_recording: Path, guest: Path, tmp_path: Path
) -> None:
    path = written(tmp_path, damaged_formats(nginx_recording.read_bytes()))
    warnings = harness.trace.read(path, formats_from=guest).quality.warnings
    ours, its = (harness.trace.read(one).header.os_release for one in (nginx_recording, guest))
    assert any(f"guest.perf.data, of another kernel: {its}, this is {ours}" in warning for warning in warnings)


def test_a_lender_of_the_same_kernel_is_named(nginx_recording: Path, tmp_path: Path) -> None:
    path = written(tmp_path, damaged_formats(nginx_recording.read_bytes()))
    trace = harness.trace.read(path, formats_from=nginx_recording)
    assert f"the tracepoint formats are those of {nginx_recording.name}" in trace.quality.warnings
    assert trace.switches.equals(harness.trace.read(nginx_recording).switches)


def test_the_kernel_of_a_killed_recorder_is_said_to_be_taken_from_the_lender(
    nginx_recording: Path, tmp_path: Path
) -> None:
    path = written(tmp_path, killed(nginx_recording.read_bytes()))
    trace = harness.trace.read(path, formats_from=nginx_recording)
    assert trace.header.os_release == harness.trace.read(nginx_recording).header.os_release
    said = f"of {trace.header.os_release}; this recording does not name its kernel, which is taken to be the same"
    assert any(said in warning for warning in trace.quality.warnings)


def test_a_lender_whose_kernel_never_shifts_states_decides_how_they_are_read(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "lender").write_bytes(small)
    path = written(tmp_path, killed(small))
    quality = harness.trace.read(path, formats_from=tmp_path / "lender").quality
    assert quality.states.decided_by == KERNEL
    assert not [warning for warning in quality.warnings if "UNDECIDED" in warning]


def test_a_lender_whose_kernel_may_shift_states_leaves_that_to_the_events(
    shifted_recording: Path, tmp_path: Path
) -> None:
    path = written(tmp_path, killed(shifted_recording.read_bytes()))
    states = harness.trace.read(path, formats_from=shifted_recording).quality.states
    assert (states.shifted, states.decided_by) == (True, WAKEUPS)


def test_a_lender_of_fewer_events_is_named_as_the_reason_why_samples_cannot_be_decoded(
    hostile_recording: Path, nginx_recording: Path, tmp_path: Path
) -> None:
    path = written(tmp_path, killed(hostile_recording.read_bytes()))
    quality = harness.trace.read(path, formats_from=nginx_recording).quality
    assert quality.decode_errors
    said = f"{nginx_recording.name} lacks the formats of 3 of the 9 events that were recorded here"
    assert any(warning.startswith(said) for warning in quality.warnings)
    assert not harness.trace.read(path, formats_from=hostile_recording).quality.decode_errors
