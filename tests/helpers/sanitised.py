"""Reads damaged recordings; run under sanitizers, which end it where it touches memory that is not its own.

Run as a program: `sanitised.py LIBRARY SECONDS FOLDER RECORDING...`. Damaged files are written to FOLDER.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from pathlib import Path

from harness.errors import TraceError
from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.native import library
from harness.trace.perf_data.recording import open_recording
from harness.trace.perf_data.records import PADDING
from harness.trace.summary import summarize

MIN_FILES = 20
HOSTILE = (b"\0", b"\xff", b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x09\0\0\0\0\0\x08\0", b"\x09\0\0\0\0\0\xf8\xff")


def damaged(whole: bytes, dice: random.Random) -> bytes:
    """Return the recording with some bytes changed, and sometimes cut."""
    changed = bytearray(whole)
    for _ in range(dice.randint(1, 8)):
        offset = dice.choice([dice.randrange(2000), dice.randrange(len(whole))])
        value = dice.choice([*HOSTILE, dice.randbytes(dice.randint(1, 12))])
        changed[offset : offset + len(value)] = value
    return bytes(changed[: dice.choice([len(changed), len(changed), dice.randrange(len(changed))])])


class ExactBuffers:
    """Gives a decoder its buffers in memory that ends where they do, so that a step beyond the end is noticed."""

    def __init__(self, decoder: NativeDecoder) -> None:
        self.decoder = decoder

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `BufferSink.take`."""
        return self.decoder.take(bytearray(buffer[: size + PADDING]), size)


def read_twice(path: Path) -> None:
    """Read the whole, then in small buffers whose rows are released as early as possible."""
    recording = open_recording(path)
    for parts, chunk_bytes in ((1, 1 << 20), (2, 1 << 14)):
        decoder = NativeDecoder(recording.header, parts)
        for number, part in enumerate(recording.parts):
            decoder.enter_part(number)
            for _ in part.feed(ExactBuffers(decoder), chunk_bytes):
                if parts > 1:
                    decoder.release(decoder.earliest_ns)
        decoder.release_all()
        decoder.names(), decoder.states(), decoder.stats()


def main(seconds: float, folder: Path, recordings: list[Path]) -> int:
    """Read damaged files for some seconds, at least MIN_FILES of them. Return how many."""
    dice, wholes, count = random.Random(2026), [path.read_bytes() for path in recordings], 0
    path, end = folder / "damaged.perf.data", time.monotonic() + seconds
    while count < MIN_FILES or time.monotonic() < end:
        path.write_bytes(damaged(wholes[count % len(wholes)], dice))
        with contextlib.suppress(TraceError):
            read_twice(path)
            summarize(path, chunk_bytes=1 << 14, release_rows=50)
        count += 1
    return count


if __name__ == "__main__":
    library.LIBRARY = Path(sys.argv[1])
    print(main(float(sys.argv[2]), Path(sys.argv[3]), [Path(name) for name in sys.argv[4:]]))
