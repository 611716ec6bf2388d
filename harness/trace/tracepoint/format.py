"""Tracepoint format texts: where the fields of an event lie in its raw data.

The kernel publishes one text per tracepoint (`/sys/kernel/tracing/events/*/*/format`) and perf copies it into the
file, so field offsets are read from there and never assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import TraceError

_FIELD = re.compile(
    r"field:(?P<declaration>[^;\n]{1,512});\s{0,4}offset:(?P<offset>\d{1,9});\s{0,4}size:(?P<size>\d{1,9});"
    r"(?:\s{0,4}signed:(?P<signed>[01]);)?"
)
_NAME = re.compile(r"(\w+)\s{0,4}(\[[^\]]*\])?$")
_MAX_OFFSET = 0xFFFF  # a record's size has 16 bits, so no field lies beyond
_MAX_TEXT = 256 << 10  # characters; the longest of the kernel's own texts has about 20,000


@dataclass(frozen=True)
class Field:
    """One field of an event: `offset` and `size` in bytes from the start of the raw data.

    `kind` is `int`, `chars` (a fixed array of char) or `loc` (u32: length << 16 | offset of the bytes).
    """

    name: str
    offset: int
    size: int
    signed: bool
    kind: str


@dataclass(frozen=True)
class TracepointFormat:
    """One tracepoint: `system:name`, its numeric `id` (common_type), its fields and its print format."""

    system: str
    name: str
    id: int
    fields: dict[str, Field]
    print_fmt: str

    @property
    def end(self) -> int:
        """Bytes of raw data that hold every fixed field."""
        return max((field.offset + field.size for field in self.fields.values()), default=0)


def parse_format(text: str, system: str = "") -> TracepointFormat:
    """Read one format text. Raises TraceError for a text without a name or id, or with a field beyond any record."""
    if len(text) > _MAX_TEXT:
        raise TraceError(f"a tracepoint format has {len(text)} characters", expected=f"at most {_MAX_TEXT}")
    name = re.search(r"^name: ?(\S{1,200})$", text, re.MULTILINE)
    number = re.search(r"^ID: ?(\d{1,9})$", text, re.MULTILINE)
    if not name or not number:
        raise TraceError("a tracepoint format has no name or no ID", expected="`name:` and `ID:` lines")
    print_fmt = re.search(r"^print fmt:(.*)\Z", text, re.MULTILINE | re.DOTALL)
    fields = {field.name: field for field in map(_parse_field, _FIELD.finditer(text))}
    return TracepointFormat(system, name[1], int(number[1]), fields, print_fmt[1].strip() if print_fmt else "")


def _parse_field(line: re.Match[str]) -> Field:
    declaration = line["declaration"].strip()
    name = _NAME.search(declaration)
    if not name:
        raise TraceError(f"cannot read the tracepoint field {declaration[:80]!r}")
    offset, size = int(line["offset"]), int(line["size"])
    if offset + size > _MAX_OFFSET:
        raise TraceError(f"the tracepoint field {name[1]!r} lies beyond any record: offset {offset}, size {size}")
    return Field(name[1], offset, size, line["signed"] == "1", _field_kind(declaration, is_array=bool(name[2])))


def _field_kind(declaration: str, is_array: bool) -> str:
    if "__data_loc" in declaration:
        return "loc"
    return "chars" if is_array and "char" in declaration else "int"
