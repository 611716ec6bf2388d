"""The facts that a guest states of its kernel and CPU, read from files as kernels show them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from fake_host import RESULT

from harness.errors import TrialError
from harness.guest import result, trial_facts

RELEASE = "6.1.0-57-cloud-amd64"
CONFIG = """#
# Linux/x86 6.1.192 Kernel Configuration
#
CONFIG_BUILD_SALT="6.1.0-57-cloud-amd64"
CONFIG_PREEMPT_DYNAMIC=y
# CONFIG_PREEMPT is not set
CONFIG_HZ=250
CONFIG_SND=m
CONFIG_FAIR_GROUP_SCHED=y
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def config(root: Path) -> dict[str, Any]:
    found = trial_facts.kernel_config(RELEASE, str(root))
    assert found is not None
    return found


def test_the_options_that_concern_the_scheduler_are_kept_and_all_are_hashed(tmp_path: Path) -> None:
    write(tmp_path / "boot" / f"config-{RELEASE}", CONFIG)
    found = config(tmp_path)
    assert found["path"] == f"/boot/config-{RELEASE}"
    assert found["options"] == {"CONFIG_PREEMPT_DYNAMIC": "y", "CONFIG_HZ": "250", "CONFIG_FAIR_GROUP_SCHED": "y"}
    write(tmp_path / "boot" / f"config-{RELEASE}", CONFIG.replace("CONFIG_SND=m", "CONFIG_SND=y"))
    assert config(tmp_path)["options"] == found["options"]
    assert config(tmp_path)["sha256"] != found["sha256"]


def test_a_rebuild_with_the_same_options_has_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "boot" / f"config-{RELEASE}"
    write(path, CONFIG)
    before = config(tmp_path)["sha256"]
    write(path, CONFIG.replace("6.1.192", "6.1.193").replace('"6.1.0-57-', '"6.1.0-58-'))
    assert config(tmp_path)["sha256"] == before


def test_the_configuration_inside_of_a_kernel_prevails(tmp_path: Path) -> None:
    write(tmp_path / "boot" / f"config-{RELEASE}", CONFIG)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "config.gz").write_bytes(gzip.compress(b"CONFIG_HZ=1000\n"))
    assert (config(tmp_path)["path"], config(tmp_path)["options"]) == ("/proc/config.gz", {"CONFIG_HZ": "1000"})


def test_a_kernel_that_shows_no_configuration_or_a_damaged_one_has_none(tmp_path: Path) -> None:
    assert trial_facts.kernel_config(RELEASE, str(tmp_path)) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "config.gz").write_bytes(gzip.compress(b"CONFIG_HZ=1000\n")[:-6])
    assert trial_facts.kernel_config(RELEASE, str(tmp_path)) is None


def test_the_flags_of_the_cpu_are_those_of_the_first_in_alphabetical_order() -> None:
    text = "processor\t: 0\nflags\t\t: fpu de vme\nbugs\t\t: l1tf\n\nprocessor\t: 1\nflags\t\t: fpu\n"
    assert trial_facts.cpu_flags(text) == "de fpu vme"
    assert trial_facts.cpu_flags("") == ""


def test_mitigations_and_idle_states_are_read_by_name(tmp_path: Path) -> None:
    cpu = tmp_path / trial_facts.CPU[1:]
    write(cpu / "vulnerabilities" / "meltdown", "Mitigation: PTI\n")
    write(cpu / "vulnerabilities" / "mds", "Not affected\n")
    write(cpu / "cpuidle" / "current_driver", "none\n")
    write(cpu / "cpuidle" / "current_governor_ro", "menu\n")
    assert trial_facts.mitigations(str(tmp_path)) == {"mds": "Not affected", "meltdown": "Mitigation: PTI"}
    assert trial_facts.cpu_idle(str(tmp_path)) == "none, menu"
    assert trial_facts.cpu_idle(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize(("text", "word"), [("always [madvise] never", "madvise"), ("", None), (None, None)])
def test_the_chosen_one_of_several_words_is_the_one_in_brackets(text: str | None, word: str | None) -> None:
    assert trial_facts.chosen(text) == word


def with_facts(**facts: Any) -> dict[str, Any]:
    real = json.loads(RESULT.read_bytes())
    real["facts"] |= facts
    return dict(real)


def test_the_facts_of_this_machine_are_what_an_answer_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_facts, "packages", dict)
    known = with_facts(**json.loads(json.dumps(trial_facts.facts())))
    assert result.trial_result(known, "guest")["facts"] == known["facts"]


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        ({"kernel_config": {"path": "/x", "sha256": "short", "options": {}}}, r"facts\.kernel_config\.sha256"),
        ({"kernel_config": {"path": "/x", "sha256": "a" * 64, "options": {"CONFIG_HZ": 250}}}, r"options\.CONFIG_HZ"),
        ({"mitigations": {f"m{number}": "" for number in range(201)}}, r"facts\.mitigations"),
        ({"cpu_flags": "x" * 5000}, r"facts\.cpu_flags"),
    ],
)
def test_facts_of_another_form_are_refused(facts: dict[str, Any], key: str) -> None:
    with pytest.raises(TrialError, match=key):
        result.trial_result(with_facts(**facts), "guest")
