"""What perf, trace-cmd and ftrace say of a recording between the lines of its text: losses, warnings, a header."""

from __future__ import annotations

import re
from collections import Counter

from harness.counted import counted
from harness.trace.text.escapes import has_escapes, without_escapes

_HEADER = re.compile(rb"# ([a-z ]{1,20}?) ?: (.*)")
_LOST = {  # each counts the same losses, so the largest number is taken
    "info": re.compile(rb"INFO: .*% lost events \((?P<events>\d{1,18}) out of \d+, in (?P<chunks>\d{1,18}) chunks\)"),
    "processed": re.compile(rb"Processed \d+ events and lost (?P<chunks>\d{1,18}) chunks!"),
    "share": re.compile(rb"Processed (?P<samples>\d{1,18}) samples and lost (?P<percent>\d{1,3}[.,]\d+)%!"),
}
_EACH = re.compile(  # these add up; perf's, ftrace's own, and trace-cmd's
    rb"LOST (?P<perf>\d{1,18}) events?!?"
    rb"|CPU:\d+ \[(?:LOST(?: (?P<ftrace>\d{1,18}))? EVENTS|(?:(?P<trace_cmd>\d{1,18}) )?EVENTS DROPPED)\]",
    re.IGNORECASE,
)
_KEPT = re.compile(rb"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18}) +#P:(\d{1,4})")  # of ftrace
_CPUS = re.compile(rb"cpus=(\d{1,4})")  # of trace-cmd
_NOT_DECODED = re.compile(rb"(\d{1,18}) unprocessable samples recorded\.")
_KILLED = re.compile(rb"WARNING: The .* data size field is 0.*|Was the 'perf record' command properly terminated\?.*")
_SAID = re.compile(  # worth repeating
    rb"(?:WARNING|Warning|INFO): *(?P<text>\S.*)"
    rb"|(?P<alone>\d+ out of order events recorded.*|Found \d+ unknown events!.*)"
)
_IGNORED = re.compile(
    rb"Warning:|\[ perf \w+: .*\]|Check IO/CPU overload!|AUX data lost .*|'\w+' not valid for .* Ignoring\."
    rb"|Is this an older tool .*|If that is not the case, .*|Please consider reporting .*|Found \d+ invalid .*"
    rb"|Do you have a KVM guest .*|Script (?:started|done) .*|no symbols found in .*"
    rb"|PERF_RECORD_FINISHED_ROUND|CPU \d+ is empty|#{3,} CPU \d+ buffer started #{3,}|version = \d+"
    rb"|No kallsyms or vmlinux .* was found|.*(?:[Ff]ailed to open .*| not found), continuing without symbols"
)
_MOST_WARNINGS, _LONGEST = 20, 1000  # warnings repeated, and bytes of one


class Notes:
    """Takes the lines that are perf's own, and keeps what they say.

    `header`: the facts of the header of `perf script`, by perf's own names. `lost`: lost events, by who counts them.
    `lost_chunks`: gaps that perf counts. `not_decoded`: samples that perf could not read. `killed`: perf was.
    """

    def __init__(self) -> None:
        self.header: dict[str, str] = {}
        self.lost: Counter[str] = Counter()
        self.lost_chunks, self.not_decoded, self.killed = 0, 0, False
        self.warnings: dict[str, None] = {}

    @property
    def lost_events(self) -> int:
        """How many events were lost, as far as anything says."""
        return max(self.lost.values(), default=0)

    def take(self, content: bytes) -> bool:
        """Keep what a line says; return False if it is not perf's own. A blank line is."""
        line = (without_escapes(content) if has_escapes(content) else content).strip()
        if line.startswith(b"#"):
            self._take_header(line)
            return True
        if len(line) > _LONGEST:
            return False
        return not line or self._count(line) or _IGNORED.fullmatch(line) is not None or self._repeat(line)

    def _take_header(self, line: bytes) -> None:
        if header := _HEADER.fullmatch(line):
            self.header.setdefault(header[1].decode(), header[2].decode("utf-8", "replace").strip())
        elif kept := _KEPT.fullmatch(line):
            self.header.setdefault("nrcpus online", kept[3].decode())
            if overwritten := int(kept[2]) - int(kept[1]):
                self.warnings[_overwritten(overwritten)] = None

    def _count(self, line: bytes) -> bool:
        """Whether the line counts what is missing."""
        text = line.removeprefix(b"Warning:").strip()
        for source, pattern in _LOST.items():
            if found := pattern.fullmatch(text):
                self._note_lost(source, found.groupdict())
                return True
        if found := _EACH.fullmatch(text):
            count = next(filter(None, found.groups()), b"")
            self.lost["each"] += int(count or 0)
            self.lost_chunks += not count  # whose events nobody counted
        elif found := _CPUS.fullmatch(text):
            self.header.setdefault("nrcpus online", found[1].decode())
        elif found := _NOT_DECODED.fullmatch(text):
            self.not_decoded = max(self.not_decoded, int(found[1]))
        elif found := _KILLED.fullmatch(line):
            self.killed = True
        return found is not None

    def _note_lost(self, source: str, numbers: dict[str, bytes]) -> None:
        self.lost_chunks = max(self.lost_chunks, int(numbers.get("chunks", 0)))
        events = int(numbers.get("events", 0))
        if "percent" in numbers:
            events = round(int(numbers["samples"]) * float(numbers["percent"].replace(b",", b".")) / 100)
        self.lost[source] = max(self.lost[source], events)

    def _repeat(self, line: bytes) -> bool:
        said = _SAID.fullmatch(line)
        if said and len(self.warnings) < _MOST_WARNINGS:
            self.warnings[f"perf says: {(said['text'] or said['alone']).decode('utf-8', 'backslashreplace')}"] = None
        return said is not None


def _overwritten(events: int) -> str:
    return (
        f"the kernel's buffer kept the last events only, {counted(events, 'earlier one')} were overwritten: "
        "the CPUs begin at different times"
    )
