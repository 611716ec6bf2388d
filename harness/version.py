"""The version of this program: of a checkout as git tells it, else as it was installed.

What is kept between runs and depends on the code goes by RELEASE, which no commit changes; what says where a result
came from, by `version`. hatchling runs this file when it builds, so it imports nothing of the package.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

RELEASE = "0.3.0"  # the next one
UNKNOWN = f"{RELEASE}.dev0"
DISTRIBUTION = "sched-harness"
CHECKOUT = Path(__file__).parents[1]  # where harness runs from one
LIMIT_S = 30
RELEASE_TAGS = ("--tags", "--match=v[0-9]*", "--exclude=*[!v0-9.]*")  # v0.3.0, and not v0.3.0-rc1 or vague
_DESCRIBED = re.compile(r"(?:v(\d+(?:\.\d+)*)-(\d+)-g)?([0-9a-f]+)(-dirty)?")


@cache
def version() -> str:
    """Return X.Y.Z for a tag vX.Y.Z, and X.Y.Z.devN+gHASH for N commits after the last one, before X.Y.Z."""
    if not _is_checkout():
        return _installed()
    if unpacked := _unpacked():
        return unpacked
    # Without --abbrev, the length of a commit's hash depends on how many commits a clone has.
    described = git("describe", *RELEASE_TAGS, "--long", "--always", "--dirty", "--abbrev=10")
    return _named(described) if described else UNKNOWN


def git(*arguments: str) -> str | None:
    """Return what git prints about the checkout; None if it is none, there is no git, or git refuses it."""
    import subprocess  # which most commands do not need

    if not (_is_checkout() and (CHECKOUT / ".git").exists()):
        return None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ended = subprocess.run(
            ["git", "-C", str(CHECKOUT), *arguments],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


def _is_checkout() -> bool:
    """Return whether harness runs from its sources, and is not installed in a folder of another project."""
    return f'name = "{DISTRIBUTION}"' in _text("pyproject.toml")


def _named(described: str) -> str:
    found = _DESCRIBED.fullmatch(described)
    if not found:
        return UNKNOWN
    tag, commits, commit, dirty = found.groups()
    if tag and commits == "0" and not dirty:
        return tag
    return f"{_after(tag)}.dev{commits or 0}+g{commit}{'.dirty' if dirty else ''}"


def _after(tag: str | None) -> str:
    """Return the release that follows a tag: the next one, unless that is out."""
    numbers = [int(number) for number in (tag or "0").split(".")]
    if numbers < [int(number) for number in RELEASE.split(".")]:
        return RELEASE
    return ".".join(map(str, [*numbers[:-1], numbers[-1] + 1]))


def _unpacked() -> str | None:
    """Return the version of a source distribution, which has a PKG-INFO; None for others."""
    found = re.search(r"^Version: (\S+)$", _text("PKG-INFO"), re.MULTILINE)
    return found[1] if found else None


def _text(name: str) -> str:
    try:
        return (CHECKOUT / name).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _installed() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        return version_of(DISTRIBUTION)
    except PackageNotFoundError:
        return UNKNOWN
