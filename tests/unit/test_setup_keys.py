"""setup.sh fetches Ubuntu's keys into the cache of this project; stand-ins for apt play the archive."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import setup_script

KEYS = "ubuntu-archive-keyring.gpg"
NEEDED = ("say", "fetch_ubuntu_keys", "download_ubuntu_keys", "download_keys_of")
# apt-get notes how it was called; `download` leaves a package, which the stand-in for dpkg-deb unpacks.
APT_GET = """
echo "$*" >>"$CALLS"
case "$*" in
indextargets*) echo "http://mirror.invalid/debian/ bookworm" ;;
*update)
    [ -e "$NETWORK" ] || exit 100
    sed -n 's/^deb //p' "${3#*=}" >>"$CALLS"
    if [ -e "$LACKS_BACKPORTS" ] && grep -q backports "${3#*=}"; then exit 100; fi ;;
*download*) : >ubuntu-keyring_1_all.deb ;;
esac
"""
DPKG_DEB = f'mkdir -p "$3/usr/share/keyrings" && echo keys >"$3/usr/share/keyrings/{KEYS}"'


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian 12 host without Ubuntu's keys, whose network is up while the file `network` is there."""
    (tmp_path / "bin").mkdir()
    for name, script in {"apt-get": APT_GET, "dpkg-deb": DPKG_DEB, "chown": ":"}.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    (tmp_path / "network").touch()
    (tmp_path / "calls").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "my cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("NETWORK", str(tmp_path / "network"))
    monkeypatch.setenv("LACKS_BACKPORTS", str(tmp_path / "lacks backports"))
    return tmp_path


def fetch(host: Path) -> str:
    """Run the function of setup.sh as the script does, on the files of this host; return what it says."""
    script = setup_script.functions(*NEEDED).replace("/etc/os-release", str(host / "os-release"))
    script = script.replace('[ ! -f "/usr/share/keyrings/$name" ]', "true")
    call = ["bash", "-euo", "pipefail", "-c", f"{script}\nfetch_ubuntu_keys\necho went on"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("went on\n")
    return done.stderr


def keys(host: Path) -> Path:
    return host / "my cache" / "keyrings" / KEYS


def test_the_keys_come_from_the_backports_of_the_mirror_that_the_host_uses(host: Path) -> None:
    fetch(host)
    calls = (host / "calls").read_text()
    assert keys(host).read_text() == "keys\n"
    assert "http://mirror.invalid/debian/ bookworm-backports main" in calls
    assert "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" in calls
    update, download = (line for line in calls.splitlines() if line.endswith(("update", "ubuntu-keyring")))
    for option in ("Dir::Etc::SourceList=", "Dir::Etc::SourceParts=/dev/null", "Dir::State::Lists=", "Dir::Cache="):
        assert option in update
        assert option in download
    assert "install" not in calls


def test_a_mirror_without_backports_has_them_in_debian_13(host: Path) -> None:
    (host / "lacks backports").touch()
    fetch(host)
    assert keys(host).read_text() == "keys\n"
    assert "http://mirror.invalid/debian/ trixie main" in (host / "calls").read_text()


def test_a_second_call_does_nothing(host: Path) -> None:
    fetch(host)
    (host / "calls").write_text("")
    assert fetch(host) == ""
    assert (host / "calls").read_text() == ""


def test_without_network_it_warns_goes_on_and_does_not_try_again_at_once(host: Path) -> None:
    (host / "network").unlink()
    note = fetch(host)
    assert "ubuntu-18.04 cannot be built here; every Debian box can" in note
    assert f"copy /usr/share/keyrings/{KEYS} of an Ubuntu or Debian 13 machine to {keys(host).parent}" in note
    assert not keys(host).exists()
    assert fetch(host) == ""
    (host / "network").touch()
    (keys(host).parent / ".tried").unlink()
    fetch(host)
    assert keys(host).exists()


def test_nothing_is_fetched_on_ubuntu(host: Path) -> None:
    (host / "os-release").write_text("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n")
    assert fetch(host) == ""
    assert (host / "calls").read_text() == ""


@pytest.mark.parametrize("program", ["mktemp", "mkdir", "chmod"])
def test_a_step_that_fails_ends_the_fetching_and_nothing_is_written_elsewhere(host: Path, program: str) -> None:
    broken = host / "bin" / program
    # The folder of the keys is made before; only what is made in the work folder fails.
    broken.write_text(f'#!/bin/sh\ncase "$*" in *keyrings) exec /bin/{program} "$@" ;; esac\nexit 1\n')
    broken.chmod(0o755)
    assert "could not be fetched" in fetch(host)
    assert not keys(host).exists()
    assert "update" not in (host / "calls").read_text()
