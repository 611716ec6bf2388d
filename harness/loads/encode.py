"""A live video encoder: vpxenc, fed at the rate of a camera."""

from __future__ import annotations

import json
import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LATENCIES, RECORDING_FILE, Limit, LoadModel, Metrics, Timing
from harness.loads.guest_scripts import script

QUEUE = 3  # frames that an encoder may have before it; a camera drops the next
NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
STREAM = re.compile(
    rf"^stream [0-9]+ encoded ([0-9]+) late ([0-9]+) dropped ([0-9]+) seconds {NUMBER}"
    rf" mean_ms {NUMBER} p50_ms {NUMBER} p99_ms {NUMBER}$",
    re.MULTILINE,
)
MOST_DROPPED_PERCENT = 10.0


class Encode(LoadModel):
    """`vpxenc` encodes video that arrives frame by frame at a fixed rate, each stream in a process of its own.

    An encoder sleeps until its frame comes, then computes for milliseconds in one long slice. The frames of all streams
    are due at the same time, so that their encoders compete; a feeder wakes for a moment at each frame.
    """

    roles: ClassVar[tuple[str, ...]] = ("vpx_tools",)
    measures: ClassVar[tuple[str, ...]] = ("frames_per_s", *LATENCIES)

    kind: Literal["encode"] = "encode"
    codec: Literal["vp8", "vp9"] = Field("vp8", description="video format")
    streams: int = Field(2, ge=1, le=64, description="videos that are encoded at the same time")
    frame_rate: float = Field(24.0, ge=0.1, le=240.0, description="frames a second of each stream")
    width: int = Field(176, ge=16, le=1920, multiple_of=8, description="width of a frame, in pixels")
    height: int = Field(144, ge=16, le=1080, multiple_of=8, description="height of a frame, in pixels")
    speed: int = Field(4, ge=0, le=9, description="how much quality is given up for speed (--cpu-used)")
    bitrate_kbps: int = Field(200, ge=10, le=50_000, description="kilobits a second of each encoded stream")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that frames must have been encoded, and few dropped."""
        why = "the encoder fell behind its frames; lower load.frame_rate, width and height, or raise load.speed"
        return (
            Limit("operations", "no frame was encoded; see load.txt", at_least=1),
            Limit("frames_dropped_percent", why, at_most=MOST_DROPPED_PERCENT),
        )

    def command(self) -> list[str]:
        """Return the command that feeds the encoders."""
        return ["python3", "live_encoder.py", "encode.json"]

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the feeder and its settings."""
        settings = {
            "encoder": self._encoder,
            "streams": self.streams,
            "frame_rate": self.frame_rate,
            "width": self.width,
            "height": self.height,
            "queue": QUEUE,
            "seed": timing.seed,
            "seconds": timing.seconds,
            "recording_file": RECORDING_FILE,
        }
        return {"live_encoder.py": script("live_encoder.py"), "encode.json": json.dumps(settings)}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the frames of all streams in the recording's seconds, and the worst stream's latencies.

        A latency counts from when a frame was due.
        """
        rows = [tuple(map(float, match.groups())) for match in STREAM.finditer(output)]
        if len(rows) != self.streams or not sum(row[0] for row in rows) or not max(row[3] for row in rows):
            return {}
        encoded, late, dropped, seconds, mean, p50, p99 = zip(*rows, strict=True)
        return {
            "operations": int(sum(encoded)),
            "frames_late": int(sum(late)),
            "frames_dropped": int(sum(dropped)),
            "frames_dropped_percent": 100 * sum(dropped) / (sum(encoded) + sum(dropped)),
            "seconds": max(seconds),
            "frames_per_s": sum(encoded) / max(seconds),
            "latency_mean_ms": max(mean),
            "latency_p50_ms": max(p50),
            "latency_p99_ms": max(p99),
        }

    @property
    def _encoder(self) -> list[str]:
        """The encoder's argv; without a buffer, so that a packet is seen when it is there."""
        picture = ["--i420", f"--width={self.width}", f"--height={self.height}", f"--fps={self._fps}"]
        live = ["--rt", f"--cpu-used={self.speed}", "--lag-in-frames=0", "--passes=1", "--threads=1"]
        rate = ["--end-usage=cbr", f"--target-bitrate={self.bitrate_kbps}"]
        how = ["--quiet", "--disable-warning-prompt", "--ivf"]
        return ["stdbuf", "-o0", "vpxenc", f"--codec={self.codec}", *how, *picture, *live, *rate, "-o", "-", "-"]

    @property
    def _fps(self) -> str:
        return f"{round(self.frame_rate * 1000)}/1000"
