"""Where the files that are not Python are found, and where this user's caches and state live."""

from __future__ import annotations

import os
from pathlib import Path

APP = "harness"


def data_dir(name: str) -> Path:
    """The folder `vagrant`, `ansible` or `experiments`: packed into an installed wheel, or beside the checkout.

    Raises FileNotFoundError when neither is there, which means a broken installation.
    """
    package = Path(__file__).parent
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name!r} is missing beside {package}; reinstall the package")


def cache_dir() -> Path:
    """Boxes and other things that can be made again; `HARNESS_CACHE` overrides it."""
    return _user_dir("HARNESS_CACHE", "cache")


def state_dir() -> Path:
    """What must survive a crash: which VMs are up, what the KVM probe saw; `HARNESS_STATE` overrides it."""
    return _user_dir("HARNESS_STATE", "state")


def _user_dir(variable: str, kind: str) -> Path:
    if chosen := os.environ.get(variable):
        return Path(chosen).expanduser().resolve()
    import platformdirs

    return platformdirs.user_cache_path(APP) if kind == "cache" else platformdirs.user_state_path(APP)
