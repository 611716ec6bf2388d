"""Writes small recordings of any shape and byte order, which no machine at hand would record."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

IP, TID, TIME, ADDR, READ, CALLCHAIN, ID, CPU, PERIOD, STREAM_ID, RAW = (1 << bit for bit in range(11))
IDENTIFIER = 1 << 16
USUAL = IP | TID | TIME | CPU | PERIOD | RAW | IDENTIFIER
SWITCH_ID = 314
SWITCH_FORMAT = """name: sched_switch
ID: 314
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:1;
\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;
\tfield:int prev_prio;\toffset:28;\tsize:4;\tsigned:1;
\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;
\tfield:char next_comm[16];\toffset:40;\tsize:16;\tsigned:1;
\tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;
\tfield:int next_prio;\toffset:60;\tsize:4;\tsigned:1;

print fmt: "prev_state=%s%s", (REC->prev_state & 0xff) ? __print_flags(REC->prev_state & 0xff, "|", { 0x01, "S" }, \
{ 0x02, "D" }) : "R", REC->prev_state & 0x100 ? "+" : ""
"""
Switch = tuple[int, int, bytes, int, int, bytes, int]  # time, cpu, prev comm, prev tid, prev state, next comm, next tid


@dataclass
class Forge:
    """The shape of a recording; `write` returns its bytes."""

    order: str = "<"
    sample_type: int = USUAL
    read_format: int = 0
    callchain: tuple[int, ...] = ()
    ids: tuple[int, ...] = (7, 8)
    os_release: str = "6.1.0"
    others: list[bytes] = field(default_factory=list)
    raw_tail: bytes = b""
    switch_format: str = SWITCH_FORMAT
    more_features: dict[int, bytes] = field(default_factory=dict)

    def write(self, switches: list[Switch]) -> bytes:
        """Return a seekable recording of these switches, followed by `others` (whole records)."""
        data = b"".join(map(self.sample, switches)) + b"".join(self.others)
        attr, ids_at = self._attr(), 104
        attrs_at = ids_at + 8 * len(self.ids)
        data_at = attrs_at + len(attr) + 16
        features = {1: self._tracing_data(), 4: self._text(self.os_release), **self.more_features}
        flags = sum(1 << number for number in features)
        header = (b"PERFILE2" if self.order == "<" else b"2ELIFREP") + self._pack(
            "13Q", 104, len(attr) + 16, attrs_at, len(attr) + 16, data_at, len(data), 0, 0, flags, 0, 0, 0, 0
        )[:-8]
        entry = attr + self._pack("QQ", ids_at, 8 * len(self.ids))
        return (
            header + self._pack(f"{len(self.ids)}Q", *self.ids) + entry + data + self._features(data_at, data, features)
        )

    def sample(self, switch: Switch) -> bytes:
        """Return one sample record."""
        time, cpu, prev_comm, prev_tid, state, next_comm, next_tid = switch
        fixed = {
            IDENTIFIER: self._pack("Q", self.ids[0] if self.ids else 0),
            IP: self._pack("Q", 0xFFFFFFFF81000000),
            TID: self._pack("II", prev_tid, prev_tid),
            TIME: self._pack("Q", time),
            ADDR: self._pack("Q", 9),
            ID: self._pack("Q", self.ids[-1] if self.ids else 0),
            STREAM_ID: self._pack("Q", 3),
            CPU: self._pack("II", cpu, 0),
            PERIOD: self._pack("Q", 1),
        }
        body = b"".join(part for bit, part in fixed.items() if self.sample_type & bit)
        body += self._read() if self.sample_type & READ else b""
        if self.sample_type & CALLCHAIN:
            body += self._pack(f"Q{len(self.callchain)}Q", len(self.callchain), *self.callchain)
        raw = self._pack(
            "HBBi16siiq16sii", SWITCH_ID, 0, 0, prev_tid, prev_comm, prev_tid, 120, state, next_comm, next_tid, 120
        )
        raw += self.raw_tail
        raw += bytes(-(len(raw) + 4) % 8)
        return self.record(9, body + self._pack("I", len(raw)) + raw)

    def record(self, kind: int, body: bytes) -> bytes:
        """Return one record of any type."""
        return self._pack("IHH", kind, 1, 8 + len(body)) + body

    def _pack(self, layout: str, *values: int | bytes) -> bytes:
        return struct.pack(self.order + layout, *values)

    def _read(self) -> bytes:
        grouped, extras = self.read_format & 8, (self.read_format >> 2 & 1) + (self.read_format >> 4 & 1)
        times = (self.read_format & 1) + (self.read_format >> 1 & 1)
        members = 2 if grouped else 1
        words = times + members * (1 + extras)
        return (self._pack("Q", members) if grouped else b"") + self._pack(f"{words}Q", *range(words))

    def _attr(self) -> bytes:
        return self._pack("IIQQQQQ", 2, 128, SWITCH_ID, 1, self.sample_type, self.read_format, 0) + bytes(80)

    def _tracing_data(self) -> bytes:
        form = self.switch_format.encode()
        endian = b"\0" if self.order == "<" else b"\1"
        head = b"\x17\x08\x44tracing0.6\0" + endian + b"\x08" + self._pack("I", 4096)
        head += b"header_page\0" + self._pack("Q", 0) + b"header_event\0" + self._pack("Q", 0) + self._pack("I", 0)
        systems = self._pack("I", 1) + b"sched\0" + self._pack("I", 1) + self._pack("Q", len(form)) + form
        return head + systems + self._pack("IIQ", 0, 0, 0)

    def _text(self, text: str) -> bytes:
        return self._pack("I", 64) + text.encode().ljust(64, b"\0")

    def _features(self, data_at: int, data: bytes, features: dict[int, bytes]) -> bytes:
        at, table, bodies = data_at + len(data) + 16 * len(features), b"", b""
        for number in sorted(features):
            table += self._pack("QQ", at + len(bodies), len(features[number]))
            bodies += features[number]
        return table + bodies


def long_recording(path: Path, samples: int) -> None:
    """Two tasks that take turns on one CPU, a microsecond each."""
    switches: list[Switch] = [(0, 0, b"a", place % 2 + 1, 1, b"b", 2 - place % 2) for place in range(2)]
    pair = b"".join(map(Forge().sample, switches))
    rows = np.frombuffer(pair * (samples // 2), np.uint8).reshape(samples, len(pair) // 2).copy()
    rows[:, 32:40] = (1000 * np.arange(1, samples + 1)).astype("<u8").view(np.uint8).reshape(samples, 8)
    path.write_bytes(Forge(others=[rows.tobytes()]).write([]))


def many_tasks(path: Path, switches: int, *, differ: str = "names", state: int = 1, step_ns: int = 1000) -> None:
    """One CPU that switches after every step to a task that never ran before, by its name or its tid."""
    base = Forge()
    one = base.sample((0, 0, b"?" * 15, 1, state, b"?" * 15, 1))
    rows = np.frombuffer(one * switches, np.uint8).reshape(switches, len(one)).copy()
    rows[:, 32:40] = _bytes_of(1_000_000 + step_ns * np.arange(1, switches + 1), "<u8")
    number, at = np.arange(1, switches + 1), one.rindex(b"?" * 15)  # next_comm, 32 bytes after prev_comm
    tasks = _bytes_of(np.char.zfill(number.astype("S15"), 15), "S15")
    if differ == "tids":
        tasks, at = _bytes_of(number, "<i4"), at + 16
    for first, place, values in ((0, at, tasks), (1, at - 32, tasks[:-1])):
        rows[first:, place : place + tasks.shape[1]] = values
    path.write_bytes(Forge(others=[rows.tobytes()]).write([]))


def _bytes_of(values: np.ndarray, dtype: str) -> np.ndarray:
    return values.astype(dtype).view(np.uint8).reshape(len(values), -1)
