"""A /proc folder of files, for what reads the host's CPU times, or the tasks and cgroups of a guest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LINES = {"cpu": "cpu  {user} 0 {system} {idle} 0 0 0 {steal} 0 0\n", "cpu_n": "cpu{number} 0 0 0 0 0 0 0 0 0 0\n"}


@dataclass
class FakeProc:
    """The files of a host with `cpus` CPUs, idle since boot until `run` lets time pass."""

    path: Path
    cpus: int = 2
    ticks: dict[str, int] = field(default_factory=lambda: {"user": 0, "system": 0, "idle": 1000, "steal": 0})

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "loadavg").write_text("0.50 0.25 0.10 1/99 1234\n")
        self.stall(0)
        (self.path / "mounts").write_text("proc /proc proc rw 0 0\n")
        self._write()

    def run(self, seconds: float, **shares: float) -> None:
        """Let `seconds` pass; `user`, `system` and `steal` take these shares of all CPUs, the rest is idle."""
        total = round(seconds * 100) * self.cpus
        for name, share in shares.items():
            self.ticks[name] += round(total * share)
        self.ticks["idle"] += total - sum(round(total * share) for share in shares.values())
        self._write()

    def process(
        self, pid: int, name: str, cpu_s: float, parent: int = 1, started: int = 500, children_s: float = 0.0
    ) -> None:
        """Write the stat file of a process with `cpu_s` seconds of CPU time; its ended children had `children_s`."""
        (self.path / str(pid)).mkdir(exist_ok=True)
        utime, stime = round(cpu_s * 70), round(cpu_s * 100) - round(cpu_s * 70)
        rest = ["S", parent, *[0] * 9, utime, stime, round(children_s * 100), 0, 20, 0, 1, 0, started, 0, 0]
        (self.path / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(map(str, rest))}\n")

    def end(self, pid: int) -> None:
        """Remove a process."""
        (self.path / str(pid) / "stat").unlink()
        (self.path / str(pid)).rmdir()

    def task(self, tid: int, comm: bytes = b"sh", tgid: int | None = None, **more: Any) -> Path:
        """Write the files of a task and return their folder.

        `more`: numbers of its stat file by their place in proc(5), as `field_19`, and the texts of `cgroup` and
        `autogroup`.
        """
        process = self.path / str(tgid or tid)
        folder = process / "task" / str(tid)
        folder.mkdir(parents=True)
        fields = [more.get(f"field_{place}", 0) for place in range(4, 53)]
        name = comm.replace(b"\\", rb"\\").replace(b"\n", rb"\n")  # the kernel escapes these two, and no other
        (folder / "stat").write_bytes(b"%d (%s) S %s\n" % (tid, name, " ".join(map(str, fields)).encode()))
        (folder / "cgroup").write_text(more.get("cgroup", "0::/\n"))
        if "autogroup" in more:
            (process / "autogroup").write_text(more["autogroup"])
        return folder

    def mount_cgroups(self, kind: str, weights: dict[str, int]) -> None:
        """Mount the cpu controller, `kind` is cgroup (v1) or cgroup2, with the weights of these cgroups."""
        mount, file = self.path / "mounted", "cpu.shares" if kind == "cgroup" else "cpu.weight"
        for cgroup, weight in weights.items():
            (mount / cgroup.strip("/")).mkdir(parents=True, exist_ok=True)
            (mount / cgroup.strip("/") / file).write_text(f"{weight}\n")
        options = "rw,cpu,cpuacct" if kind == "cgroup" else "rw,nsdelegate"
        with (self.path / "mounts").open("a") as stream:
            stream.write(f"cgroup {mount} {kind} {options} 0 0\n")

    def stall(self, microseconds: int) -> None:
        """Set the pressure stall time."""
        (self.path / "pressure").mkdir(exist_ok=True)
        line = "{} avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"
        (self.path / "pressure" / "cpu").write_text(line.format("some", microseconds) + line.format("full", 0))

    def _write(self) -> None:
        text = LINES["cpu"].format(**self.ticks)
        text += "".join(LINES["cpu_n"].format(number=number) for number in range(self.cpus))
        (self.path / "stat").write_text(text + "intr 123 0 0\nctxt 5\n")
