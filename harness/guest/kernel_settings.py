"""Runs inside the guest, before a trial and after its recording: sets kernel settings, and reads them back.

    python3 kernel_settings.py apply JSON    set them; set back what an earlier trial had set
    python3 kernel_settings.py read JSON     only read them

JSON is the list of `harness.guest.setting_files`: for each setting its name, its value as text, and the files that may
hold it, of which this kernel has one or none. The guest's own Python, 3.6 or newer, runs this as root with only the
standard library; `trial_script.py` starts it. It prints one line of JSON: the settings, and `error` if something is
not as wanted.
"""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import difflib
import json
import os
import sys
from typing import Any, Dict, Iterable, List, Optional, Tuple

STATE = "/run/harness-kernel-settings.json"  # what was there before the first trial; gone after a boot
MOST_NAMES = 60


class Unfit(Exception):
    """A setting is not as wanted, and trying again is of no use."""


def read(path: str, form: str) -> str:
    """Return a setting as text: blanks are single, of a choice such as `none (full)` what is chosen."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        words = stream.read().split()
    chosen = [word[1:-1] for word in words if word.startswith("(")]
    return chosen[0] if form == "choice" and chosen else " ".join(words)


def bare(feature: str) -> str:
    """Return the name of a feature, without the NO_ of one that is off."""
    return feature[3:] if feature.startswith("NO_") else feature


def value_of(setting: Dict[str, Any], path: str) -> str:
    """Return the value of a setting; of a feature, `NAME` or `NO_NAME`. Raises Unfit if there is no such feature."""
    text = read(path, setting["form"])
    if setting["form"] != "feature":
        return text
    name, features = bare(setting["value"]), text.split()
    known = [word for word in features if word in (name, "NO_" + name)]
    if not known:
        raise Unfit(lacking(setting, [bare(word) for word in features]))
    return known[0]


def lacking(setting: Dict[str, Any], names: Iterable[str]) -> str:
    """Return the sentence about a setting that this kernel lacks, with what it has: the nearest names first."""
    wanted = setting["name"].rpartition(".")[2]
    known = sorted(set(names))
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
    listed = near + [name for name in known if name not in near]
    rest = " ..." if len(listed) > MOST_NAMES else ""
    has = (
        "it has " + ", ".join(listed[:MOST_NAMES]) + rest
        if listed
        else "it shows none of this kind (is debugfs there?)"
    )
    return "{}: the kernel {} has no such setting; {}".format(setting["name"], os.uname().release, has)


def path_of(setting: Dict[str, Any]) -> str:
    """Return the file of a setting in this kernel. Raises Unfit that lists what there is."""
    for path in setting["paths"]:
        if os.path.isfile(path):
            return path
    if "others" in setting:
        others = setting["others"].items()
        raise Unfit(lacking(setting, [name for name, paths in others if any(map(os.path.isfile, paths))]))
    folder = os.path.dirname(setting["paths"][0])
    raise Unfit(lacking(setting, os.listdir(folder) if os.path.isdir(folder) else []))


def write(path: str, value: str, name: str) -> None:
    """Write a setting. Raises Unfit with the kernel's reason."""
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(value + "\n")
    except OSError as error:
        raise Unfit(f"{name}: the kernel does not take {value} ({error.strerror})") from None


def write_all(rows: List[Tuple[str, str, str]]) -> None:
    """Write settings: path, value, name. Raises Unfit for one that the kernel never takes.

    It takes no period of real-time tasks that is below their runtime, so that the order depends on the values.
    """
    while rows:
        refused = []
        for row in rows:
            try:
                write(*row)
            except Unfit as error:
                refused.append((row, error))
        if len(refused) == len(rows):
            raise refused[0][1]
        rows = [row for row, _ in refused]


def kept() -> Dict[str, Dict[str, str]]:
    """Return the settings that earlier trials changed: name -> the file, the form and the value it had before."""
    if not os.path.exists(STATE):
        return {}
    with open(STATE, encoding="utf-8") as stream:
        return dict(json.load(stream))


def keep(known: Dict[str, Dict[str, str]]) -> None:
    """Write down the values of before, in one go."""
    with open(STATE + ".part", "w", encoding="utf-8") as stream:
        json.dump(known, stream)
    os.rename(STATE + ".part", STATE)


def described(setting: Dict[str, Any], known: Dict[str, Dict[str, str]]) -> Dict[str, Optional[str]]:
    """Return what is known of one setting: the value before any trial, the wanted one, and the present one."""
    path = path_of(setting)
    before = known[setting["name"]]["value"] if setting["name"] in known else None
    present = value_of(setting, path)
    return {"name": setting["name"], "path": path, "before": before, "wanted": setting["value"], "actual": present}


def apply(settings: List[Dict[str, Any]]) -> None:
    """Set everything; first what an earlier trial had set goes back to what it was. Raises Unfit, OSError."""
    known = kept()
    back = [(name, known[name]) for name in sorted(known, key=derives)]  # also what is set again: one may limit another
    write_all([(earlier["path"], earlier["value"], name) for name, earlier in back])
    for name, earlier in back:
        require_back(name, earlier)
    for setting in settings:  # now, for one file may have two names, and one setting may change another
        if setting["name"] not in known:
            path = path_of(setting)
            known[setting["name"]] = {"path": path, "form": setting["form"], "value": value_of(setting, path)}
    keep(known)
    write_all([(path_of(setting), setting["value"], setting["name"]) for setting in settings])


def derives(name: str) -> bool:
    """Return whether the kernel computes others when this one is written, so that it goes back last."""
    return name.endswith("tunable_scaling")


def require_back(name: str, earlier: Dict[str, str]) -> None:
    """Raise Unfit unless a setting is back to what it was."""
    present = value_of({"name": name, **earlier}, earlier["path"])
    if present != earlier["value"]:
        raise Unfit(
            "{} of an earlier trial: it was {}, and is {} after it was set back".format(name, earlier["value"], present)
        )


def main(arguments: List[str]) -> int:
    """Apply or read, print the outcome; return the exit code, 0 if everything is as wanted."""
    action, settings = arguments[0], json.loads(arguments[1])
    outcome = {"settings": []}  # type: Dict[str, Any]
    try:
        if action == "apply":
            apply(settings)
        known = kept()
        outcome["settings"] = [described(setting, known) for setting in settings]
        rows = (row for row in outcome["settings"] if row["actual"] != row["wanted"])
        wrong = ["{name}: wanted {wanted}; the kernel made {actual} of it".format(**row) for row in rows]
        if wrong:
            outcome["error"] = "; ".join(wrong)
    except Unfit as error:
        outcome["error"] = str(error)
    except OSError as error:
        outcome["error"] = "{}: {}".format(error.filename or "a kernel setting", error.strerror)
    print(json.dumps(outcome, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
