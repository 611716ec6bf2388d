"""The roles: which packages each release gets, and that a guest as old as Ubuntu 18.04 can run the files sent to it.

Ubuntu 18.04 has Python 3.6, which the package sources of this project do not offer. So the tests run no such
interpreter: every file that Ansible and the harness send to the guest must parse with the grammar of 3.6. The
harness's own script must also use no newer library, which vermin checks; ansible-core 2.16 promises this for its
modules.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import LIMIT_S

from harness.boxes import provisioned
from harness.boxes.roles import RELEASES
from harness.guest import trial
from harness.loads import guest_scripts
from harness.paths import data_dir

pytestmark = pytest.mark.slow

ANSIBLE = data_dir("ansible")
FACTS: dict[str, dict[str, str]] = {
    "ubuntu-18.04": {
        "ansible_distribution": "Ubuntu",
        "ansible_distribution_version": "18.04",
        "ansible_distribution_major_version": "18",
        "ansible_kernel": "4.15.0-58-generic",
        "ansible_python_version": "3.6.8",
    },
    "debian-11": {
        "ansible_distribution": "Debian",
        "ansible_distribution_version": "11.11",
        "ansible_distribution_major_version": "11",
        "ansible_kernel": "5.10.0-35-cloud-amd64",
        "ansible_python_version": "3.9.2",
    },
    "debian-12": {
        "ansible_distribution": "Debian",
        "ansible_distribution_version": "12.11",
        "ansible_distribution_major_version": "12",
        "ansible_kernel": "6.1.0-37-cloud-amd64",
        "ansible_python_version": "3.11.2",
    },
    "debian-13": {
        "ansible_distribution": "Debian",
        "ansible_distribution_version": "13.0",
        "ansible_distribution_major_version": "13",
        "ansible_kernel": "6.12.38+deb13-cloud-amd64",
        "ansible_python_version": "3.13.5",
    },
    "debian-sid": {  # as Ansible reads a guest whose /etc/debian_version is `forky/sid`
        "ansible_distribution": "Debian",
        "ansible_distribution_version": "forky/sid",
        "ansible_distribution_major_version": "forky/sid",
        "ansible_kernel": "7.2.4-cloud-amd64",
        "ansible_python_version": "3.14.10",
    },
}
ROLES = ["perf", "nginx", "apache2_utils"]


EXPECTED = {
    "ubuntu-18.04": ["linux-tools-4.15.0-58-generic", "nginx-core", "apache2-utils"],
    "debian-11": ["linux-perf-5.10", "nginx-light", "apache2-utils"],
    "debian-12": ["linux-perf", "nginx", "apache2-utils"],
    "debian-13": ["linux-perf", "nginx", "apache2-utils"],
    "debian-sid": ["linux-perf", "nginx", "apache2-utils"],
}


def choose_packages(
    folder: Path, machines: dict[str, tuple[dict[str, str], list[str]]], more_roles: Path | None = None
) -> tuple[int, str]:
    """Write the packages that the role `packages` chooses for each machine to MACHINE.json; return code and output."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**local, **facts, "harness_roles": roles} for name, (facts, roles) in machines.items()}
    result = {"content": "{{ packages_wanted | to_json }}", "dest": f"{folder}/{{{{ inventory_hostname }}}}.json"}
    tasks = [
        {"ansible.builtin.include_role": {"name": "packages", "tasks_from": "wanted.yml"}},
        {"ansible.builtin.copy": {**result, "mode": "0644"}},
    ]
    inventory, playbook = folder / "inventory.yml", folder / "play.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    settings = {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    environment = {**os.environ, **settings, "ANSIBLE_HOME": str(folder / "ansible")}
    if more_roles:
        environment["ANSIBLE_ROLES_PATH"] = f"{ANSIBLE / 'roles'}:{more_roles}"
    program = Path(sys.executable).parent / "ansible-playbook"
    done = subprocess.run(
        [program, "-i", inventory, playbook], env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    return done.returncode, done.stdout


def test_each_release_gets_its_own_packages_and_a_role_without_packages_adds_none(tmp_path: Path) -> None:
    releases = {release: (facts, ROLES) for release, facts in FACTS.items()}
    other_kernel = {"ansible_kernel": "6.1.192-mine"}
    more = {
        "baseline": (FACTS["debian-12"], ["perf", "baseline"]),
        "ubuntu-6.1": ({**FACTS["ubuntu-18.04"], **other_kernel}, ["perf"]),
        "debian-11-6.1": ({**FACTS["debian-11"], **other_kernel}, ["perf"]),
    }
    code, output = choose_packages(tmp_path, {**releases, **more})
    assert code == 0, output
    chosen = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    of_own_kernel = {"ubuntu-6.1": ["linux-tools-4.15.0-58-generic"], "debian-11-6.1": ["linux-perf-5.10"]}
    assert chosen == {**EXPECTED, "baseline": ["linux-perf"], **of_own_kernel}


def test_a_release_that_a_role_does_not_know_is_refused_with_role_and_release(tmp_path: Path) -> None:
    facts = {**FACTS["ubuntu-18.04"], "ansible_distribution_version": "16.04"}
    role = tmp_path / "roles" / "old_program"
    role.mkdir(parents=True)
    (role / "packages.yml").write_text("ubuntu-18.04: [old-program]\n")
    code, output = choose_packages(tmp_path, {"old": (facts, ["perf", "old_program"])}, more_roles=role.parent)
    assert code != 0
    assert list(tmp_path.glob("*.json")) == []
    assert "the role old_program names no packages for ubuntu-16.04 and no default" in " ".join(output.split())
    assert str(role / "packages.yml") in output


LACKING = {("rt_app", "ubuntu-18.04")}  # the release has no such program


def test_every_role_names_its_packages_for_every_release() -> None:
    named = [path for path in (ANSIBLE / "roles").iterdir() if path.name not in provisioned.ALWAYS]
    for role in named:
        table = yaml.safe_load((role / "packages.yml").read_text())
        assert set(table) <= {*RELEASES, "default"}, role.name
        for release in RELEASES:
            names = table.get(release, table.get("default"))
            assert isinstance(names, list) or (role.name, release) in LACKING, (role.name, release)


def mask(folder: Path, units: str) -> str:
    """Run the task that masks units, on the folder `units` in the place of systemd's; return what it prints."""
    (task, *_) = yaml.safe_load((ANSIBLE / "roles" / "baseline" / "tasks" / "main.yml").read_text())
    script = re.sub(r"\{\{.*?\}\}", units, task["ansible.builtin.shell"]).replace("/etc/systemd/system", str(folder))
    program = 'systemctl() { shift 2; for unit; do ln -sn /dev/null "$FOLDER/$unit" || exit 1; done; }\n'
    program += script.replace("/run/systemd/system", str(folder))
    environment = {**os.environ, "FOLDER": str(folder)}
    done = subprocess.run(
        ["sh", "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    return done.stdout


def test_what_an_alias_stands_for_is_masked_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ntp.service").symlink_to("/lib/systemd/system/ntpsec.service")
    assert mask(tmp_path, "chrony.service ntp.service") == "masked chrony.service ntpsec.service\n"
    assert mask(tmp_path, "chrony.service ntp.service ntpsec.service") == ""


SYSTEMCTL = """systemctl() {
    case "$1 $2" in
    '--root=/ is-enabled') head -n 1 "$FOLDER/$3" 2>/dev/null || { echo "$ABSENT"; return 4; } ;;
    'is-active --quiet') grep -q '^active' "$FOLDER/$3" ;;
    '--root=/ disable') shift 2; for unit; do sed -i 's/enabled/disabled/' "$FOLDER/$unit"; done ;;
    'stop '*) shift; for unit; do sed -i '/^active/d' "$FOLDER/$unit"; done ;;
    *) return 9 ;;
    esac
}
"""


def leave_to_trials(folder: Path, units: list[str], absent: str = "") -> subprocess.CompletedProcess[str]:
    """Run the task that stops servers, on units whose state is in files of `folder`."""
    (play,) = yaml.safe_load((ANSIBLE / "site.yml").read_text())
    (task,) = [task for task in play["tasks"] if task["name"].startswith("Leave the servers")]
    script = SYSTEMCTL + re.sub(r"\{\{.*?\}\}", " ".join(units), task["ansible.builtin.shell"])
    environment = {**os.environ, "FOLDER": str(folder), "ABSENT": absent}
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=LIMIT_S)


def test_servers_are_stopped_and_disabled_and_a_second_time_nothing_changes(tmp_path: Path) -> None:
    states = {"enabled.service": "enabled", "running.service": "disabled\nactive", "ready.service": "disabled"}
    for unit, state in states.items():
        (tmp_path / unit).write_text(state + "\n")
    first, second = (leave_to_trials(tmp_path, list(states)) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "stopped enabled.service running.service\n")
    assert (second.returncode, second.stdout) == (0, "")
    assert {(tmp_path / unit).read_text() for unit in states} == {"disabled\n"}


@pytest.mark.parametrize("absent", ["", "not-found"])  # as systemd until 252 and since 253 says it
def test_a_server_whose_unit_does_not_exist_is_an_error_that_names_it(absent: str, tmp_path: Path) -> None:
    (tmp_path / "there.service").write_text("enabled\n")
    ended = leave_to_trials(tmp_path, ["there.service", "absent.service"], absent)
    assert ended.returncode == 1
    assert "absent.service" in ended.stderr
    assert (tmp_path / "there.service").read_text() == "enabled\n"


def test_no_role_starts_a_server_for_good() -> None:
    for path in (ANSIBLE / "roles").glob("*/*/*.yml"):
        for task in tasks_of(yaml.safe_load(path.read_text())):
            assert not task.get("ansible.builtin.systemd", {}).get("enabled"), path


def test_no_service_that_sets_the_clock_runs_in_any_box() -> None:
    units = yaml.safe_load((ANSIBLE / "roles" / "baseline" / "defaults" / "main.yml").read_text())
    assert {"systemd-timesyncd.service", "chrony.service", "ntp.service"} <= set(units["baseline_masked_units"])


def test_there_is_no_python_beside_the_playbook() -> None:
    assert list(ANSIBLE.glob("*.py")) == []


def tasks_of(value: Any) -> list[dict[str, Any]]:
    """Return all tasks in a parsed YAML file."""
    tasks = [value] if isinstance(value, dict) and "name" in value else []
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return tasks + [task for child in children for task in tasks_of(child)]


def modules_used() -> set[str]:
    """Return the Ansible modules that site.yml and the roles use on a guest, fact gathering included."""
    files = [ANSIBLE / "site.yml", *ANSIBLE.glob("roles/*/tasks/*.yml"), *ANSIBLE.glob("roles/*/handlers/*.yml")]
    keys = {key for path in files for task in tasks_of(yaml.safe_load(path.read_text())) for key in task}
    names = {key.removeprefix("ansible.builtin.") for key in keys if key.startswith("ansible.builtin.")}
    on_host = {"include_role", "import_tasks", "include_vars", "assert", "set_fact", "meta"}
    sent_as = {"shell": "command", "template": "copy"}
    return {sent_as.get(name, name) for name in names - on_host} | {"setup", "stat"}


def sent_to_guest(module: str, into: Path) -> list[Path]:
    """Return the Python files that Ansible sends to a guest for a module: the module and all its imports."""
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader, module_loader
    from ansible.template import Templar

    with warnings.catch_warnings():  # it warns on a second call
        warnings.simplefilter("ignore")
        init_plugin_loader()
    path = module_loader.find_plugin(module)
    variables = {"ansible_python_interpreter": "/usr/bin/python3"}
    templar = Templar(DataLoader(), variables=variables)
    data, _, _ = modify_module(f"ansible.builtin.{module}", path, {}, templar, variables)
    wrapper = into / f"{module}_wrapper.py"
    wrapper.write_bytes(data)
    packed = re.search(rb"ZIPDATA = '([A-Za-z0-9+/=]+)'", data)
    assert packed is not None
    zipfile.ZipFile(io.BytesIO(base64.b64decode(packed[1]))).extractall(into)
    return [wrapper, *sorted(into.rglob("*.py"))]


def test_the_modules_of_the_roles_are_found() -> None:
    assert {"apt", "command", "copy", "lineinfile", "setup"} <= modules_used()


@pytest.mark.parametrize("module", sorted(modules_used()))
def test_ansible_sends_only_python_3_6_to_the_guest(module: str, tmp_path: Path) -> None:
    files = sent_to_guest(module, tmp_path)
    assert len(files) > 5
    for path in files:
        ast.parse(path.read_bytes(), filename=str(path), feature_version=(3, 6))


def test_the_guest_script_is_python_3_6() -> None:
    of_loads = list(Path(guest_scripts.__file__).parent.glob("[a-z]*.py"))
    assert len(of_loads) == 3
    for script in [*trial.SENT_ALONG.values(), *of_loads]:
        ast.parse(script.read_text(), feature_version=(3, 6))
        assert minimum_python(script) <= (3, 6)


def test_the_check_notices_a_newer_python(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text("import subprocess\nsubprocess.run(['true'], capture_output=True)\n")
    assert minimum_python(newer) == (3, 7)
    with pytest.raises(SyntaxError):
        ast.parse("if (n := 1):\n    pass\n", feature_version=(3, 6))


def minimum_python(path: Path) -> tuple[int, int]:
    """Return the oldest Python 3 with the syntax and the library that a file uses."""
    program = Path(sys.executable).parent / "vermin"
    done = subprocess.run([program, "--no-tips", str(path)], capture_output=True, text=True, timeout=LIMIT_S)
    match = re.search(r"Minimum required versions:.*?(?:\b3\.(\d+)|~3)", done.stdout)
    assert match is not None, done.stdout
    return 3, int(match[1] or 0)


def test_apt_takes_lists_that_are_ahead_of_the_guests_clock_and_still_checks_everything_else() -> None:
    text = "".join(path.read_text() for path in sorted(ANSIBLE.rglob("*.yml")))
    assert 'Acquire::Max-FutureTime "86400";' in text
    for check in ("Check-Date", "Check-Valid-Until", "allow_unauthenticated", "AllowUnauthenticated", "AllowInsecure"):
        assert check not in text
