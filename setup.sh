#!/usr/bin/env bash
# Make a Debian 12+ or Ubuntu 22.04+ machine ready: packages, Python environment, libvirt.
#
#   ./setup.sh [--tests] [-- COMMAND...]
#
# --tests adds what only the test suite needs. COMMAND runs afterwards, as a member of the groups that this script may
# have added the user to. A second call finds nothing to do and takes less than a second.
# Needs root, or a user with sudo. Works with and without a running systemd.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

URI=qemu:///system
RUN_PACKAGES=(libvirt-daemon-system libvirt-clients dnsmasq-base qemu-system-x86 qemu-utils mmdebstrap e2fsprogs procps
    debian-archive-keyring uidmap util-linux openssh-client zstd python3-venv gcc libc6-dev)
TEST_PACKAGES=(openssh-server shellcheck git)
# What a command keeps of the environment when it runs through sudo, which clears it.
KEPT=(PATH HOME TERM TMPDIR HARNESS_CACHE HARNESS_STATE HARNESS_RUNS XDG_CACHE_HOME XDG_STATE_HOME VAGRANT_HOME
    http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY)
wanted=run
command=()
user=$(id -un)

while [ $# -gt 0 ]; do
    case $1 in
    --tests) wanted=tests ;;
    --) shift && command=("$@") && break ;;
    *) echo "usage: ./setup.sh [--tests] [-- COMMAND...]" >&2 && exit 2 ;;
    esac
    shift
done

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$1" && exit 3; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# grep reads from a string, not from a pipe: it exits at the first match, and pipefail makes the writer's SIGPIPE an error.
available() { grep -q 'Candidate: [^(]' <<<"$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)"; }
has_systemd() { [ -d /run/systemd/system ]; }
virsh_root() { as_root virsh -q -c "$URI" "$@" >/dev/null; }

check_host() {
    command -v apt-get >/dev/null || die "this is neither Debian nor Ubuntu; install by hand
    what RUN_PACKAGES in setup.sh lists, vagrant, and vagrant-libvirt"
    [ "$(uname -m)" = x86_64 ] || die "the guests are x86-64 machines; this one is $(uname -m)"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "run this as root, or install sudo"
}

is_ubuntu() { grep -q '^ID=ubuntu' /etc/os-release; }

# Vagrant, unless it was installed by hand together with its libvirt plug-in.
vagrant_packages() {
    if command -v vagrant >/dev/null && grep -q '^vagrant-libvirt ' <<<"$(vagrant plugin list 2>/dev/null)"; then
        return
    fi
    for package in vagrant vagrant-libvirt; do
        available "$package" || die "this release has no package $package. Install Vagrant from its makers' packages,
    then \`vagrant plugin install vagrant-libvirt\`, and run ./setup.sh again: it uses a Vagrant that you installed"
        echo "$package"
    done
}

test_packages() {
    printf '%s\n' "${TEST_PACKAGES[@]}"
    if is_ubuntu; then printf '%s\n' linux-tools-common linux-tools-generic; else echo linux-perf; fi
    if command -v chromium google-chrome chromium-browser >/dev/null; then return; fi
    if is_ubuntu; then echo chromium-browser; else echo chromium; fi
}

# Ubuntu's keys are needed for the ubuntu-18.04 box alone, and Debian 12 itself does not have them.
keyring_packages() {
    if available ubuntu-keyring; then echo ubuntu-keyring; fi
}

# Debian 12 has Ubuntu's keys in its backports only. They are fetched from there into the cache of this project: apt uses
# its own sources, lists and cache for that, verifies the package with Debian's keys, and the system stays as it is.
fetch_ubuntu_keys() {
    local keys=${HARNESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/harness}/keyrings
    local name=ubuntu-archive-keyring.gpg
    [ ! -f "/usr/share/keyrings/$name" ] && [ ! -f "$keys/$name" ] && grep -q '^ID=debian' /etc/os-release || return 0
    [ -z "$(find "$keys/.tried" -mmin -1440 2>/dev/null)" ] || return 0    # not in every call of a host without network
    mkdir -p "$keys" && touch "$keys/.tried"
    say "fetching Ubuntu's archive keys, for the box ubuntu-18.04 alone"
    if (download_ubuntu_keys "$keys/$name"); then return; fi
    say "Ubuntu's keys could not be fetched: the box ubuntu-18.04 cannot be built here; every Debian box can.
    Tried again in a day, or after: rm $keys/.tried"
}

# $1: the file to write. Runs in a subshell, whose work folder goes when it ends.
download_ubuntu_keys() {
    local suite uri work options
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}") || return 1
    # The mirror is the one that this system uses already.
    # shellcheck disable=SC2016 # apt fills these in
    uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Component: main' |
        awk -v suite="$suite" '$2 == suite { print $1; exit }')
    [ -n "$uri" ] || return 1
    # Called in a condition, where the shell does not stop at an error: every step says what follows from one.
    work=$(mktemp -d) || return 1
    # shellcheck disable=SC2064 # this very folder
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" || return 1
    chmod 755 "$work" || return 1
    [ "$(id -u)" != 0 ] || chown _apt "$work/deb" || return 1    # as root, apt downloads as this user
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite-backports main" \
        >"$work/sources.list" || return 1
    options=(-q=2 -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Acquire::Languages=none
        -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false
        -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
    timeout 120 apt-get "${options[@]}" --error-on=any update &&
        (cd "$work/deb" && timeout 120 apt-get "${options[@]}" download ubuntu-keyring) &&
        dpkg-deb -x "$work"/deb/ubuntu-keyring_*.deb "$work/unpacked" &&
        cp "$work/unpacked/usr/share/keyrings/${1##*/}" "$1.new" && mv "$1.new" "$1"
}

install_packages() {
    local missing=() package list
    [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ] || as_root apt-get update -q
    list=$(printf '%s\n' "${RUN_PACKAGES[@]}" && vagrant_packages && keyring_packages) || exit
    [ "$wanted" = run ] || list+=$'\n'$(test_packages)
    while IFS= read -r package; do
        [ -z "$package" ] || installed "$package" || missing+=("$package")
    done <<<"$list"
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${missing[@]}"
}

# Without udev, /dev/kvm does not belong to the group that QEMU runs in (in a container it may have the number of another
# group). libvirt then probes QEMU again for each machine that is defined, which takes a minute.
open_kvm() {
    [ -c /dev/kvm ] && [ ! -e /run/udev/control ] && [ "$(stat -c %G:%a /dev/kvm)" != kvm:660 ] || return 0
    as_root chgrp kvm /dev/kvm
    as_root chmod 660 /dev/kvm
}

join_groups() {
    [ "$(id -u)" != 0 ] || return 0
    local group
    for group in libvirt kvm; do
        grep -qw "$group" <<<"$(id -nG "$user")" || as_root usermod -aG "$group" "$user"
    done
}

# libvirtd checks access with polkit over D-Bus. Without systemd neither runs, so the group libvirt gets access.
start_libvirtd() {
    local config=/etc/libvirt/libvirtd-by-group.conf
    printf '%s\n' 'unix_sock_group = "libvirt"' 'unix_sock_rw_perms = "0770"' \
        'auth_unix_ro = "none"' 'auth_unix_rw = "none"' | as_root tee "$config" >/dev/null
    as_root libvirtd -d --config "$config"
}

start_libvirt() {
    virsh_root uri 2>/dev/null && return
    if has_systemd; then
        as_root systemctl start virtlogd.socket libvirtd.socket libvirtd.service
    else
        pgrep -x virtlogd >/dev/null || as_root virtlogd -d
        pgrep -x libvirtd >/dev/null || start_libvirtd
    fi
    for _ in $(seq 50); do
        virsh_root uri 2>/dev/null && return
        sleep 0.2
    done
    die "libvirtd does not answer at $URI; its messages: journalctl -u libvirtd, or run libvirtd in a terminal"
}

# $1: net-info or pool-info
is_active() {
    grep -Eq '^(Active|State): +(yes|running)' <<<"$(as_root env LC_ALL=C virsh -q -c "$URI" "$1" default 2>/dev/null)"
}

start_network() {
    is_active net-info && return
    virsh_root net-info default 2>/dev/null || virsh_root net-define /usr/share/libvirt/networks/default.xml
    virsh_root net-start default || die "libvirt's network 'default' (192.168.122.0/24) does not start; if another
    network of this host uses that range, choose a different one: virsh -c $URI net-edit default"
    virsh_root net-autostart default
}

start_pool() {
    is_active pool-info && return
    as_root mkdir -p /var/lib/libvirt/images
    virsh_root pool-info default 2>/dev/null ||
        virsh_root pool-define-as default dir --target /var/lib/libvirt/images
    virsh_root pool-start default
    virsh_root pool-autostart default
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null
        then
            echo "$candidate" && return
        fi
    done
    die "no Python from 3.10 to 3.13 with the venv module was found"
}

# $@: locks in requirements/. pip refuses a file whose SHA-256 is not in them, and builds nothing: a build fetches more.
install_locked() {
    .venv/bin/pip install -qq --no-compile --disable-pip-version-check --only-binary :all: --require-hashes \
        "${@/#/-rrequirements/}"
}

# Of torch there are many builds. One of the right version that is there already is kept; then comes the one for CPUs, if
# pip is told of an index that has it.
install_packages_of_python() {
    local locks=(run.txt) version
    [ "$wanted" = run ] || locks+=(tests.txt)
    version=$(grep -o '^torch==[0-9.]*' requirements/torch-cpu.txt)
    if grep -q "^$version" <<<"$(.venv/bin/pip freeze 2>/dev/null)"; then
        install_locked "${locks[@]}"
    elif ! install_locked torch-cpu.txt "${locks[@]}" 2>/dev/null; then
        say "no build of torch for CPUs with a known hash was found: taking that for CUDA, several gigabytes"
        install_locked torch-cuda.txt "${locks[@]}"
    fi
    # The locks have all that this project needs, so nothing is fetched for it.
    .venv/bin/pip install -qq --no-compile --disable-pip-version-check --no-deps --no-build-isolation -e .
}

make_environment() {
    local python
    python=$(find_python)
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    # Scripts carry the environment's path: one that was moved or copied is made anew.
    .venv/bin/pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    say "installing the Python packages into .venv"
    install_packages_of_python
    compile_what_is_used
}

# Most of pip's time goes into compiling every module of every package, and few are ever used. Python compiles a module
# when it is imported, and keeps the result unless PYTHONDONTWRITEBYTECODE is set: importing once leaves what is used.
compile_what_is_used() {
    env -u PYTHONDONTWRITEBYTECODE LC_ALL=C.UTF-8 .venv/bin/ansible-playbook --version >/dev/null
    env -u PYTHONDONTWRITEBYTECODE .venv/bin/python - <<'END'
import contextlib, importlib, pkgutil
for package in map(importlib.import_module, ("harness", "model")):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        with contextlib.suppress(ImportError):  # of an extra that is not installed
            importlib.import_module(module.name)
END
}

fingerprint() { cat setup.sh pyproject.toml requirements/*.txt hatch_build.py harness/trace/native/*.[ch] | sha256sum | cut -d ' ' -f 1; }

# Done before, with these very inputs, and libvirt is up: nothing to do.
up_to_date() {
    local stamp
    for stamp in .venv/.setup-tests ".venv/.setup-$wanted"; do
        [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ] || continue
        if .venv/bin/python -c 'from harness.trace.native.library import load_library; load_library()' 2>/dev/null &&
            is_active net-info && is_active pool-info; then return 0; fi
    done
    return 1
}

run_command() {
    local name settings=()
    [ ${#command[@]} -gt 0 ] || return 0
    # This shell is not yet in a group that was just joined; sudo reads the groups again.
    if [ "$(id -u)" != 0 ] && ! grep -qw libvirt <<<"$(id -nG)"; then
        for name in "${KEPT[@]}"; do [ -z "${!name+set}" ] || settings+=("$name=${!name}"); done
        exec sudo -u "$user" env TERM=dumb "${settings[@]}" "${command[@]}"
    fi
    exec "${command[@]}"
}

if ! up_to_date; then
    check_host
    install_packages
    open_kvm
    join_groups
    start_libvirt
    start_network
    start_pool
    make_environment
    fingerprint >".venv/.setup-$wanted"
    say "ready"
fi
fetch_ubuntu_keys
run_command
