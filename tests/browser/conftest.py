"""Opens pages in a real headless Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
)
LIMIT_S = 700  # only ends what would never end
Opened = Callable[..., "Page"]


class Page:
    """A page in the browser: its markup after the scripts ran, and the lines of its console."""

    def __init__(self, markup: str, console: list[str]) -> None:
        self.markup, self.console = markup, console

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute in the page's markup."""
        found = re.search(rf'\s{re.escape(name)}="([^"]*)"', self.markup)
        return found[1] if found else None


@pytest.fixture
def chromium(tmp_path: Path) -> Opened:
    """`chromium(path, *switches, fragment="")` opens a file and returns its Page."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "the program 'chromium' is not installed; ./setup.sh installs it"

    def show(path: Path, *switches: str, fragment: str = "") -> Page:
        profile = tmp_path / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        profile.mkdir()
        command = [program, *SWITCHES, f"--user-data-dir={profile}", "--virtual-time-budget=5000", *switches]
        command += ["--dump-dom", path.resolve().as_uri() + fragment]
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)
        lines = done.stderr.decode("utf-8", "replace").splitlines()
        return Page(done.stdout.decode("utf-8"), [line for line in lines if "CONSOLE" in line])

    return show
