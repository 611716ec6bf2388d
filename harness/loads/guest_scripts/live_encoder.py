"""Runs inside the guest: feeds frames to `vpxenc` at a fixed rate, as a camera does, until SIGINT.

    python3 live_encoder.py SETTINGS.json

A frame is due each 1/frame_rate s. It is dropped, not delayed, while the encoder still has `queue` frames before it.
Its latency counts from when it was due until the encoder wrote its packet. The last line of a stream has the counts of
the frames that were due in the recording, or where there was none of all.
"""
# ruff: noqa: UP006, UP035  (these rules ask for syntax that Python 3.6 does not have)

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Any, Dict, List, Tuple

FRAMES = 16  # different pictures, shown one after the other
BLOCK = 8  # pixels of one grey, along each side
IVF_FILE_HEADER, IVF_FRAME_HEADER = 32, 12  # bytes; a frame's header begins with the size of its packet


def pictures(settings: Dict[str, Any]) -> List[bytes]:
    """Return frames in I420: a window that moves over a larger picture of random grey blocks."""
    width, height = settings["width"], settings["height"]
    draw, rows = random.Random(settings["seed"]), []
    for _ in range(height // BLOCK + FRAMES):
        blocks = draw.getrandbits(8 * (width // BLOCK + FRAMES)).to_bytes(width // BLOCK + FRAMES, "big")
        rows += [b"".join(bytes([grey]) * BLOCK for grey in blocks)] * BLOCK
    colour = bytes([128]) * (width * height // 2)
    moved = [[row[3 * step : 3 * step + width] for row in rows[2 * step : 2 * step + height]] for step in range(FRAMES)]
    return [b"".join(window) + colour for window in moved]


class Stream:
    """One encoder and what became of its frames."""

    def __init__(self, settings: Dict[str, Any], frames: List[bytes]) -> None:
        self.settings, self.frames = settings, frames
        self.encoder = subprocess.Popen(
            settings["encoder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=ignore_interrupt
        )
        self.due_times: List[float] = []  # of the frames that were fed
        self.latencies: List[float] = []  # of the frames that came back, in the same order
        self.dropped: List[float] = []  # when those were due that were not fed

    def feed(self, started: float, stop: threading.Event) -> None:
        """Write each frame when it is due, unless the encoder is behind; close its input at the end."""
        number, stdin = 0, self.encoder.stdin
        assert stdin is not None
        while not stop.is_set():
            due = started + number / self.settings["frame_rate"]
            time.sleep(max(0.0, due - time.monotonic()))
            if self.is_behind(due):
                self.dropped.append(due)
            else:
                self.due_times.append(due)
                with contextlib.suppress(BrokenPipeError):  # then `collect` ends too
                    stdin.write(self.frames[number % FRAMES])
                    stdin.flush()
            number += 1
        with contextlib.suppress(BrokenPipeError):
            stdin.close()

    def is_late(self, latency: float) -> bool:
        """Return whether a frame came back after the next was due."""
        return latency > 1 / self.settings["frame_rate"]

    def is_behind(self, due: float) -> bool:
        """Return whether the queue is full, or has been since this frame was due."""
        waiting, late_s = len(self.due_times) - len(self.latencies), time.monotonic() - due
        return waiting >= self.settings["queue"] or late_s > self.settings["queue"] / self.settings["frame_rate"]

    def collect(self, stop: threading.Event) -> None:
        """Read the packets that the encoder writes; an encoder that ends stops all."""
        stdout = self.encoder.stdout
        assert stdout is not None
        stdout.read(IVF_FILE_HEADER)
        while packet_bytes(stdout):
            self.latencies.append(time.monotonic() - self.due_times[len(self.latencies)])
        stop.set()

    def line(self, number: int, since: float, until: float) -> str:
        """Return the line of its counts, of the frames that were due between two times."""
        fed = zip(self.due_times, self.latencies)  # noqa: B905  (the last frames may not have come back)
        latencies = sorted(latency for due, latency in fed if since <= due < until)
        dropped, late = sum(since <= due < until for due in self.dropped), sum(map(self.is_late, latencies))
        counts = f"encoded {len(latencies)} late {late} dropped {dropped} seconds {until - since:.3f}"
        some = latencies or [0.0]
        p50, p99 = (1000 * percentile(some, percent) for percent in (50, 99))
        mean = 1000 * sum(some) / len(some)
        return f"stream {number} {counts} mean_ms {mean:.3f} p50_ms {p50:.3f} p99_ms {p99:.3f}"


def percentile(rising: List[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed."""
    return rising[(percent * len(rising) + 99) // 100 - 1]


def ignore_interrupt() -> None:
    """Let an encoder finish its last frames where SIGINT reaches it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def recorded(settings: Dict[str, Any], started: float, ended: float) -> Tuple[float, float]:
    """Return when the recording began and ended, on the monotonic clock."""
    try:
        with open(settings["recording_file"], encoding="ascii") as text:
            began = float(text.read()) - time.time() + time.monotonic()
    except FileNotFoundError:  # nothing was recorded
        return started, ended
    return began, min(ended, began + settings["seconds"])


def packet_bytes(stdout: IO[bytes]) -> int:
    """Read one packet; return its bytes with its header, 0 at the end."""
    header = stdout.read(IVF_FRAME_HEADER)
    if len(header) < IVF_FRAME_HEADER:
        return 0
    return IVF_FRAME_HEADER + len(stdout.read(int.from_bytes(header[:4], "little")))


def main() -> int:
    """Run the streams until SIGINT or until an encoder fails; return the first exit status that is not 0."""
    with open(sys.argv[1], encoding="utf-8") as text:
        settings = json.load(text)
    frames, stop = pictures(settings), threading.Event()
    streams, started = [Stream(settings, frames) for _ in range(settings["streams"])], time.monotonic()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    work = [threading.Thread(target=stream.feed, args=(started, stop), daemon=True) for stream in streams]
    work += [threading.Thread(target=stream.collect, args=(stop,), daemon=True) for stream in streams]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    since, until = recorded(settings, started, time.monotonic())
    for number, stream in enumerate(streams):
        print(stream.line(number, since, until))
    return max(abs(stream.encoder.wait()) for stream in streams)


if __name__ == "__main__":
    sys.exit(main())
