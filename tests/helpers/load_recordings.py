"""Recordings of every load, as a real machine made them, and a campaign that gets them from a fake one.

tests/data/loads/README.md has the commands that make them anew.
"""

from __future__ import annotations

import io
import json
import lzma
import sys
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import zstandard
from fakes import FakeMonitor, World
from locations import DATA
from pydantic import ValidationError
from shorten import count_records, shortened

from harness.campaign import attempt
from harness.campaign.attempt import Attempt
from harness.guest import trial as guest_trial
from harness.loads import KINDS
from harness.noise.observation import Observation

FOLDER = DATA / "loads"
MOST_RECORDS = 40_000  # which is more than MOST_BYTES hold, and compresses in a second
MOST_BYTES = 150_000  # of one archive; a recording that needs more loses its end
FACTS = ("kernel", "cpus", "memory_mb", "accelerator", "clock", "cpu_speed", "box")  # of the machine


def kinds() -> list[str]:
    """Return the loads that there are recordings of."""
    return sorted(path.name.removesuffix(".tar.xz") for path in FOLDER.glob("*.tar.xz"))


@cache
def _contents(kind: str) -> dict[str, bytes]:
    with tarfile.open(FOLDER / f"{kind}.tar.xz") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def described(kind: str) -> dict[str, Any]:
    """Return the load, the seed, the recorded seconds and the machine of the trial of a load."""
    return dict(json.loads(_contents(kind)["recorded.json"]))


def unpack(kind: str, folder: Path) -> None:
    """Put perf.data, load.txt and guest.json of a load into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("perf.data", "load.txt", "guest.json"):
        (folder / name).write_bytes(_contents(kind)[name])


class RecordedLoads(World):
    """A world whose attempts leave the recording of their load, which is then read and judged like any other."""

    def _attempt(self, host: Any, trial: Any, folder: Path, number: int, *rest: Any) -> Attempt:
        unpack(trial.load.kind, folder)
        guest = json.loads((folder / "guest.json").read_text())
        files, there = guest_trial.files_in(folder, guest, 30.0), described(trial.load.kind)["machine"]
        return attempt.judge(trial, files, number, there, Observation(FakeMonitor(), there["cpus"]), rest[1])


def pack(folder: Path) -> None:
    """Keep the usable trials, of loads with their defaults, in `folder` and the folders below."""
    for path in sorted(folder.rglob("trial.json")):
        record = json.loads(path.read_text())
        kind = record["load"]["kind"]
        if record["verdict"]["ok"] and record["load"] == _defaults(kind, record["load"]):
            packed = next(packed for packed in _shorter_and_shorter(path.parent, record) if len(packed) <= MOST_BYTES)
            (FOLDER / f"{kind}.tar.xz").write_bytes(packed)


def _defaults(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the default parameters of a load; those that are given where it has none."""
    try:
        return KINDS[kind]().model_dump(mode="json")
    except ValidationError:
        return given


def _shorter_and_shorter(trial: Path, record: dict[str, Any]) -> Iterator[bytes]:
    whole = zstandard.ZstdDecompressor().decompressobj().decompress((trial / "perf.data.zst").read_bytes())
    machine = {name: record["machine"].get(name) for name in FACTS}
    texts = {name: (trial / name).read_bytes() for name in ("guest.json", "load.txt")}
    clocks = [json.loads(texts["guest.json"])["recording"][f"clock_{end}"] for end in ("before", "after")]
    seconds = round(clocks[1]["monotonic_s"] - clocks[0]["monotonic_s"])
    facts = {"load": record["load"], "seed": record["seed"], "seconds": seconds, "machine": machine}
    texts["recorded.json"] = json.dumps(facts, indent=1).encode()
    records = count_records(whole)
    if records <= MOST_RECORDS:
        yield _archive({"perf.data": whole, **texts})
    records = min(records, MOST_RECORDS * 4 // 3)
    while records := records * 3 // 4:
        yield _archive({"perf.data": shortened(whole, records), **texts})


def _archive(contents: dict[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return lzma.compress(plain.getvalue(), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
