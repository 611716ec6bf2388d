"""The files of a run folder that the page leads to, by paths relative to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from harness.report.run_facts import RunFacts

COMPARISON = "comparison.html"  # what `harness compare RUN --html` may have written into the run folder
UNHASHED = ("manifest.json", "events.jsonl", "repeat.json", COMPARISON)


@dataclass(frozen=True)
class RunFile:
    """A file: its path in the run folder, the address of a link to it or nothing, its size and its SHA-256.

    A file without a SHA-256 has no size either: it still grows after the page is written.
    """

    path: str
    href: str
    size_bytes: int | None
    sha256: str

    @property
    def name(self) -> str:
        """The name without its folder."""
        return PurePosixPath(self.path).name


def run_files(run: RunFacts) -> list[RunFile]:
    """Return what the steps of the run wrote, and the files that describe it; only existing files are linked."""
    hashes = {path: digest for step in run.steps for path, digest in step.outputs.items()}
    hashes |= {path: "" for path in UNHASHED if (run.folder / path).is_file()}
    return [_file(run.folder, path, digest) for path, digest in hashes.items()]


def _file(run: Path, path: str, digest: str) -> RunFile:
    """Link a file of this folder; a path that leads out of it, by `..` or a link, is shown as text alone."""
    try:
        real = (run / path).resolve()
        inside = real.is_relative_to(run.resolve()) and real.is_file()
        size = real.stat().st_size if inside else None
    except (OSError, ValueError, RuntimeError):  # no path that this system can have
        size = None
    href = f"../{quote(path)}" if size is not None else ""
    return RunFile(path, href, size if digest else None, digest)
