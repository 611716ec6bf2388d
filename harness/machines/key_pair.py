"""The key pair of one campaign, with which it logs in to its machines."""

from __future__ import annotations

from pathlib import Path

from harness import processes
from harness.errors import MachineError


def make(folder: Path) -> Path:
    """Make `key` and `key.pub` in `folder` unless they are there; return the private half. Raises MachineError."""
    path = folder / "key"
    if not path.with_suffix(".pub").is_file():
        path.unlink(missing_ok=True)
        result = processes.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "harness", "-f", str(path)], timeout_s=30
        )
        if not result.ok:
            raise MachineError(f"ssh-keygen could not make a key pair: {result.output.strip()}", where=str(path))
    return path


def argument(key: Path) -> str:
    """Return the public half as KIND:BASE64, for the guest's kernel command line, which is split at spaces."""
    return ":".join(key.with_suffix(".pub").read_text(encoding="ascii").split()[:2])
