"""The key pair of one campaign, with which it logs in to its machines."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from harness import processes
from harness.errors import MachineError
from harness.files import as_host_error, open_regular

_PUBLIC = re.compile(rb"(ssh-ed25519) ([A-Za-z0-9+/=]{68})( |\n)")


def make(folder: Path) -> Path:
    """Make `key` and `key.pub` in `folder` unless both are there; return the private half. Raises HostError."""
    path = folder / "key"
    if not (path.is_file() and _public(path)):
        for half in (path, path.with_suffix(".pub")):
            with as_host_error(half, "remove it"):
                half.unlink(missing_ok=True)
        result = processes.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "harness", "-f", str(path)], timeout_s=30
        )
        if not result.ok:
            raise MachineError(f"ssh-keygen could not make a key pair: {result.output.strip()}", where=str(path))
    return path


def argument(key: Path) -> str:
    """Return the public half as KIND:BASE64, for the guest's kernel command line, which is split at spaces."""
    if public := _public(key):
        return public
    raise MachineError("this is no public key", where=str(key.with_suffix(".pub")), hint="remove it, and run again")


def _public(key: Path) -> str | None:
    with suppress(OSError), open_regular(key.with_suffix(".pub")) as source:
        if match := _PUBLIC.match(source.read(1000)):
            return b":".join(match.groups()[:2]).decode()
    return None
