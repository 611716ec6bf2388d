"""The folders of the files that are not Python, and of this user's cache and state."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import HostError

APP = "harness"


def data_dir(name: str) -> Path:
    """Return the folder `vagrant`, `ansible` or `experiments`: in the installed package, or in the checkout.

    Raises FileNotFoundError when the installation is broken and has neither.
    """
    package = Path(__file__).parent
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name!r} is missing beside {package}; reinstall the package")


def cache_dir() -> Path:
    """Return the folder for boxes and other files that can be made again; `HARNESS_CACHE` overrides it."""
    return _user_dir("HARNESS_CACHE", "cache")


def state_dir() -> Path:
    """Return the folder for the register of VMs, the KVM results and crash reports; `HARNESS_STATE` overrides it."""
    return _user_dir("HARNESS_STATE", "state")


def scratch_dir() -> Path:
    """Return the folder in the cache for temporary files that have no place of their own."""
    return cache_dir() / "tmp"


def _user_dir(variable: str, kind: str) -> Path:
    """Return the folder that the variable names, or this user's own. Raises HostError for one that cannot be."""
    if override := os.environ.get(variable):
        try:
            return Path(override).expanduser().resolve()
        except (OSError, RuntimeError) as error:  # the home of nobody, or links that lead in a circle
            expected = "a folder that you may write to"
            raise HostError(f"this is no folder: {error}", where=f"{variable}={override}", expected=expected) from None
    import platformdirs

    return platformdirs.user_cache_path(APP) if kind == "cache" else platformdirs.user_state_path(APP)
