"""Finding run folders by name."""

from __future__ import annotations

import errno
import os
import shlex
from difflib import get_close_matches
from pathlib import Path

from harness.errors import StoreError, UsageError
from harness.store import label
from harness.store.folder import RunFolder
from harness.store.manifest import NAME

TIME_LENGTH = len("2026-11-22T10-15-03")  # of runs with the same time, shorter names sort first: `_10` after `_2`


def find_runs(runs_dir: Path) -> list[Path]:
    """Return all run folders below `runs_dir`, oldest first; a run folder has a manifest.

    What cannot be entered may be one, and is returned: opening it says why. Raises UsageError when `runs_dir` is there
    and cannot be listed.
    """
    try:
        runs = [path for path in runs_dir.iterdir() if _may_be_run(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        what = f"the runs in this folder cannot be listed: {error.strerror}"
        raise UsageError(what, where=str(runs_dir), expected="a folder of runs that may be read") from None
    return sorted(runs, key=lambda run: (run.name[:TIME_LENGTH], len(run.name), run.name))


def _may_be_run(path: Path) -> bool:
    """Return whether a folder has a manifest, of whatever kind; True for a folder or a link that cannot be entered."""
    try:
        path.stat()
        (path / NAME).lstat()
    except NotADirectoryError:  # a file
        return False
    except FileNotFoundError:
        return path.is_symlink() and not path.exists()
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG  # such a name was given, and not found
    except ValueError:  # a name with a zero byte
        return False
    return True


def readable(runs_dir: Path) -> tuple[list[RunFolder], list[StoreError]]:
    """Open all runs below `runs_dir`, oldest first; also return the errors of those that cannot be read."""
    runs, damaged = [], []
    for path in find_runs(runs_dir):
        try:
            runs.append(RunFolder.open(path))
        except StoreError as error:
            damaged.append(error)
    return runs, damaged


def resolve(runs_dir: Path, name: str | None = None) -> Path:
    """Return the run folder of this name, path, unique beginning of a name, or label; None means the newest run.

    Raises UsageError.
    """
    runs = find_runs(runs_dir)
    if name is None:
        if not runs:
            hint = "start one: harness run experiments/nginx_ab.yaml"
            raise UsageError("there are no runs yet", where=str(runs_dir), hint=hint)
        return runs[-1]
    if _may_be_run(Path(name)):
        return Path(name)
    return _by_name(runs_dir, runs, name)


def require_unambiguous(run: Path, text: str) -> None:
    """Raise UsageError unless `text`, as the label of a run, would name this run alone of those in its folder."""
    text, own = text.strip(), os.path.realpath(run)
    if not text or text == run.name:  # the whole name of a run is found first
        return
    others = [other for other in find_runs(run.parent) if os.path.realpath(other) != own]
    expected, hint = "a label that names this run alone", "choose another"
    if named := [other.name for other in others if other.name.startswith(text)]:
        what = f"{text!r} begins the name of the run {named[0]}"
        raise UsageError(what, where=str(run), expected=expected, hint=hint)
    if labelled := [other for other in others if label.read(other) == text]:
        what = f"{text!r} is the label of the run {labelled[0].name}"
        hint += f', or take it away there first: harness label {shlex.quote(str(labelled[0]))} ""'
        raise UsageError(what, where=str(run), expected=expected, hint=hint)


def _by_name(runs_dir: Path, runs: list[Path], name: str) -> Path:
    exact = [run for run in runs if run.name == name]
    matches = exact or [run for run in runs if run.name.startswith(name)]
    if name and len(matches) == 1:
        return matches[0]
    if name and matches:
        names = ", ".join(run.name for run in matches[:5])
        raise UsageError(f"{name!r} is the beginning of {len(matches)} runs", where=str(runs_dir), expected=names)
    if labelled := [run for run in runs if name and label.read(run) == name]:
        if len(labelled) == 1:
            return labelled[0]
        names = ", ".join(run.name for run in labelled[:5])
        raise UsageError(f"{name!r} is the label of {len(labelled)} runs", where=str(runs_dir), expected=names)
    if os.sep in name:
        expected = "a folder with a manifest.json, the beginning of a run's name, or a label"
        hint = "`harness ls` lists the runs"
        raise UsageError("there is no run at this path", where=name, expected=expected, hint=hint)
    near = get_close_matches(name, [run.name for run in runs], n=1, cutoff=0.3)
    hint = f"did you mean {near[0]}?" if near else "`harness ls` lists the runs"
    raise UsageError(f"there is no run {name!r}", where=str(runs_dir), hint=hint)
