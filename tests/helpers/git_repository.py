"""A git repository in a folder, whatever the user and the hook that runs the tests have set."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

Git = Callable[..., str]


def commit_all(folder: Path) -> Git:
    """Commit the files of a folder to a new repository, and return what runs git there and gives what it prints."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: object) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *map(str, words)]
        return subprocess.check_output(command, env=own, text=True).strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    return git
