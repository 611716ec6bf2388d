"""Names that would colour, move, forge or hide text on a terminal or a page; a recording and a run that carry them."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import pyarrow as pa
import synthetic_run
from shorten import DATA_OFFSET, shortened

from harness.visible import visible

NAME = "[red]x[b]:smile:\nFORGED \x1b[5m\x1b[2J\x07\x08\u202e\u200b%s{x}<svg onload=x>"  # also that of a file
SHOWN = visible(NAME)
COMMS = {b"nginx": b"\x1b[5mx", b"rcu_preempt": b"[b]:smile:\n", b"ksoftirqd/0": b"<b>\x07\x08\x1b[2J%"}
HOSTNAME, OS_RELEASE, PERF_VERSION, CPU = 3, 4, 5, 8  # features of the header
COMMAND_LINE = 11


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def recording(whole: bytes, records: int = 12_000) -> bytes:
    """A real recording whose tasks and header texts have such names."""
    data = bytearray(shortened(whole, records))
    for comm, name in COMMS.items():
        assert len(name) <= len(comm)
        data = data.replace(comm + b"\0", name.ljust(len(comm), b"\0") + b"\0")
    for feature in (HOSTNAME, OS_RELEASE, PERF_VERSION, CPU, COMMAND_LINE):
        _set_text(data, feature)
    return bytes(data)


def _set_text(data: bytearray, feature: int) -> None:
    """Write the name over the first text of a feature, as far as it has room."""
    offset, size = struct.unpack_from("<QQ", data, DATA_OFFSET)
    flags = int.from_bytes(data[72:104], "little")
    index = (flags & ((1 << feature) - 1)).bit_count()
    (start,) = struct.unpack_from("<Q", data, offset + size + 16 * index)
    start += 4 * (feature == COMMAND_LINE)  # the number of its texts
    (room,) = struct.unpack_from("<I", data, start)
    data[start + 4 : start + 4 + room] = NAME.encode()[: room - 1].ljust(room, b"\0")


def run(run: Path, name: str = NAME) -> Path:
    """A run in which every field that can carry foreign text carries `name`."""
    box = {"name": name, "digest": name, "fallback_reason": f"reason {name}"}
    file = f"file {name}".replace("\0", "")  # which no file's name can hold
    steps = {"box": {"state": "failed", "seconds": 1.0, "error": f"error {name}", "outputs": {file: name}}}
    spec = synthetic_run.manifest()["spec"] | {"question": f"Is it {name}?"}
    arms = {f"arm {name}": {"box": {"name": name}, "machine": {"clock": name, "vcpu_placement": name}}}
    synthetic_run.write_manifest(
        run, name=f"run {name}", box=box, steps=steps, spec=spec, error=name, command=["a", name],
        repeats={"run": f"repeats {name}"}, arms=arms,
    )  # fmt: skip
    checks = [{"name": f"check {name}", "ok": False, "value": f"v {name}", "limit": f"l {name}", "why": f"why {name}"}]
    table = synthetic_run.slices(300, names={"ab": f"t {name}", "nginx": name})
    table = table.set_column(6, "end_state", pa.array([f"S {name}"] * 300).dictionary_encode())
    synthetic_run.add_trial(
        run, "000_nginx_ab", table, name=f"trial {name}", arm=f"arm {name}", verdict={"ok": False, "checks": checks},
        quality={"warnings": [f"warning {name}"]}, metrics={f"metric {name}": f"value {name}"},
        machine={"clock": f"clock {name}"},
        host=synthetic_run.host(
            None, share_reason=f"reason {name}", top=[[f"top {name}", 1.0]], suspended_s={f"side {name}": 9.0},
            frequency_before={"governor": f"governor {name}"},
        ),
    )  # fmt: skip
    earlier = run / "attempts" / "000_nginx_ab-1"
    earlier.mkdir(parents=True)
    (earlier / "trial.json").write_text(json.dumps({"verdict": {"ok": False, "checks": checks}}))
    rollout = {"names": [f"m {name}", "b"], "marks": [0, 1, 0], "real_marks": [1, 1, 0]}
    synthetic_run.add_model(
        run, "markov", 0, 0.6, predictor=f"p {name}", regime=f"r {name}", mark="task", rollout=rollout
    )
    return run
