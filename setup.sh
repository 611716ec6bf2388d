#!/usr/bin/env bash
# Make a Debian 12+ or Ubuntu 22.04+ machine ready: packages, Python environment, libvirt.
#
#   ./setup.sh [--tests] [-- COMMAND...]
#
# --tests adds what only the test suite needs. COMMAND runs afterwards, as a member of the groups that this script may
# have added the user to. A second call finds nothing to do and takes less than a second.
# The packages are those of requirements/debian-*.txt and what they depend on. Their list and sizes are printed before.
# Nothing is removed; an installed package is upgraded only if one of them depends on that, after a question.
# Needs root, or a user with sudo, for what is missing only. Works with and without a running systemd.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

URI=qemu:///system
# What a command keeps of the environment when it runs through sudo, which clears it.
KEPT=(PATH HOME TERM TMPDIR HARNESS_CACHE HARNESS_STATE HARNESS_RUNS XDG_CACHE_HOME XDG_STATE_HOME VAGRANT_HOME
    http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY)
# An installed configuration file that its user changed stays.
APT_OPTIONS=(--no-install-recommends --no-remove -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
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
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "root is needed for: $*; run this as root, or install sudo"
        sudo -- "$@"
    fi
}
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# grep reads from a string, not from a pipe: it exits at the first match, and pipefail makes the writer's SIGPIPE an error.
available() { grep -q 'Candidate: [^(]' <<<"$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)"; }
has_systemd() { [ -d /run/systemd/system ]; }
in_group() { [ "$(id -u)" = 0 ] || grep -qw "$1" <<<"$(id -nG)"; }
ask_libvirt() {
    local ask=(env LC_ALL=C virsh -q -c "$URI" "$@")
    if in_group libvirt; then "${ask[@]}"; else as_root "${ask[@]}"; fi
}
tell_libvirt() { ask_libvirt "$@" >/dev/null; }

check_host() {
    command -v apt-get >/dev/null || die "this is neither Debian nor Ubuntu; install by hand
    what requirements/debian-run.txt lists; the README's section Installing has the other steps"
    [ "$(uname -m)" = x86_64 ] || die "the guests are x86-64 machines; this one is $(uname -m)"
}

# Each line is a package, or alternatives such as `chromium | chromium-browser`.
wanted_packages() {
    local lists=(requirements/debian-run.txt)
    [ "$wanted" = run ] || lists+=(requirements/debian-tests.txt)
    sed -E 's/ *(#.*)?$//; /^$/d' "${lists[@]}"
}

# Vagrant with its plug-in, and a browser, may also have been installed by hand.
present() {
    installed "$1" && return
    case $1 in
    vagrant*) command -v vagrant >/dev/null && grep -q '^vagrant-libvirt ' <<<"$(vagrant plugin list 2>/dev/null)" ;;
    chromium) command -v google-chrome chromium chromium-browser >/dev/null ;;
    *) return 1 ;;
    esac
}

# $1: alternatives
lacks() {
    local package
    for package in ${1//|/ }; do ! present "$package" || return 1; done
}

# $1: alternatives. Prints the first that this release has.
choose_package() {
    local package
    for package in ${1//|/ }; do
        if available "$package"; then echo "$package" && return; fi
    done
    [[ $1 != vagrant* ]] || die "this release has no package $1. Install Vagrant from its makers' packages,
    then \`vagrant plugin install vagrant-libvirt\`, and run ./setup.sh again: it uses a Vagrant that you installed"
    die "no archive that apt knows has the package $1; apt-cache policy shows which it asks"
}

# Ubuntu's keys are needed for the ubuntu-18.04 box alone, and Debian 12 itself does not have them.
keyring_packages() {
    if ! installed ubuntu-keyring && available ubuntu-keyring; then echo ubuntu-keyring; fi
}

# Debian 12 has Ubuntu's keys in its backports only, and Debian 13 has them. They are fetched from there into the cache of
# this project: apt uses its own sources, lists and cache for that, verifies the package with Debian's keys, and the
# system stays as it is.
fetch_ubuntu_keys() {
    local keys=${HARNESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/harness}/keyrings
    local name=ubuntu-archive-keyring.gpg
    [ ! -f "/usr/share/keyrings/$name" ] && [ ! -f "$keys/$name" ] && grep -q '^ID=debian' /etc/os-release || return 0
    [ -z "$(find "$keys/.tried" -mmin -1440 2>/dev/null)" ] || return 0    # not in every call of a host without network
    mkdir -p "$keys" && touch "$keys/.tried"
    say "fetching Ubuntu's archive keys, for the box ubuntu-18.04 alone"
    if download_ubuntu_keys "$keys/$name"; then return; fi
    say "Ubuntu's keys could not be fetched: the box ubuntu-18.04 cannot be built here; every Debian box can.
    To have it, copy /usr/share/keyrings/$name of an Ubuntu or Debian 13 machine to $keys/.
    Fetching is tried again in a day, or after: rm $keys/.tried"
}

# $1: the file to write
download_ubuntu_keys() {
    local suite uri
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}") || return 1
    # The mirror is the one that this system uses already.
    # shellcheck disable=SC2016 # apt fills these in
    uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Component: main' |
        awk -v suite="$suite" '$2 == suite { print $1; exit }')
    [ -n "$uri" ] || return 1
    (download_keys_of "$uri $suite-backports" "$1") || (download_keys_of "$uri trixie" "$1")
}

# $1: archive and suite; $2: the file to write. Runs in a subshell, whose work folder goes when it ends, and in a
# condition, where the shell does not stop at an error: every step says what follows from one.
download_keys_of() {
    local work options
    work=$(mktemp -d) || return 1
    # shellcheck disable=SC2064 # this very folder
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" || return 1
    chmod 755 "$work" || return 1
    [ "$(id -u)" != 0 ] || chown _apt "$work/deb" || return 1    # as root, apt downloads as this user
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 main" >"$work/sources.list" || return 1
    options=(-q=2 -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Acquire::Languages=none
        -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false
        -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
    timeout 120 apt-get "${options[@]}" --error-on=any update &&
        (cd "$work/deb" && timeout 120 apt-get "${options[@]}" download ubuntu-keyring) &&
        dpkg-deb -x "$work"/deb/ubuntu-keyring_*.deb "$work/unpacked" &&
        cp "$work/unpacked/usr/share/keyrings/${2##*/}" "$2.new" && mv "$2.new" "$2"
}

install_packages() {
    local alternatives lacking=() missing
    while IFS= read -r alternatives; do
        ! lacks "$alternatives" || lacking+=("$alternatives")
    done < <(wanted_packages)
    [ ${#lacking[@]} -gt 0 ] || [ -n "$(keyring_packages)" ] || return 0
    say "asking the archives for ${lacking[*]:-ubuntu-keyring}"
    as_root apt-get update -qq || say "not every archive answered: going on with the lists that are here"
    missing=$(for alternatives in "${lacking[@]}"; do choose_package "$alternatives" || exit; done; keyring_packages) || exit
    mapfile -t missing <<<"$missing"
    show_plan "${missing[@]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${APT_OPTIONS[@]}" -y -q install "${missing[@]}"
}

# $@: packages. Prints what apt would do for them; asks before it upgrades what is installed.
show_plan() {
    local plan upgrades
    plan=$(LC_ALL=C apt-get "${APT_OPTIONS[@]}" -y -q --print-uris install "$@" 2>&1) ||
        die "apt cannot install $*:"$'\n'"$plan"
    say "apt is going to install these packages:"
    packages_below 'NEW packages will be installed' <<<"$plan" >&2
    grep -E '^(Need to get|After this operation)' <<<"$plan" >&2
    upgrades=$(packages_below 'packages will be upgraded' <<<"$plan")
    [ -z "$upgrades" ] || confirm_upgrades "$upgrades"
}

# $1: the end of a heading in what apt prints; the indented lines that follow
packages_below() { awk -v heading="$1" '/^[^ ]/ { below = $0 ~ heading } /^ / && below'; }

confirm_upgrades() {
    local answer=yes
    say "and, because packages among them depend on it, to upgrade these that are installed:"
    printf '%s\n' "$1" >&2
    if [ -t 0 ] && [ -t 2 ]; then read -r -p "setup: upgrade them? [y/N] " answer || answer=no; fi
    [[ ${answer,,} = y* ]] || die "nothing was installed: the new packages cannot be installed without these upgrades"
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
    tell_libvirt uri 2>/dev/null && return
    if has_systemd; then
        as_root systemctl start virtlogd.socket libvirtd.socket libvirtd.service
    else
        pgrep -x virtlogd >/dev/null || as_root virtlogd -d
        pgrep -x libvirtd >/dev/null || start_libvirtd
    fi
    for _ in $(seq 50); do
        tell_libvirt uri 2>/dev/null && return
        sleep 0.2
    done
    die "libvirtd does not answer at $URI; its messages: journalctl -u libvirtd, or run libvirtd in a terminal"
}

# $1: net-info or pool-info
is_active() {
    grep -Eq '^(Active|State): +(yes|running)' <<<"$(ask_libvirt "$1" default 2>/dev/null)"
}

start_network() {
    is_active net-info && return
    tell_libvirt net-info default 2>/dev/null || tell_libvirt net-define /usr/share/libvirt/networks/default.xml
    tell_libvirt net-start default || die "libvirt's network 'default' (192.168.122.0/24) does not start; if another
    network of this host uses that range, choose a different one: virsh -c $URI net-edit default"
    tell_libvirt net-autostart default
}

start_pool() {
    is_active pool-info && return
    as_root mkdir -p /var/lib/libvirt/images
    tell_libvirt pool-info default 2>/dev/null ||
        tell_libvirt pool-define-as default dir --target /var/lib/libvirt/images
    tell_libvirt pool-start default
    tell_libvirt pool-autostart default
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

# $@: options of pip, and locks in requirements/. pip refuses a file whose SHA-256 is not in them, and builds nothing: a
# build fetches more.
install_locked() {
    .venv/bin/pip install --progress-bar off --no-compile --disable-pip-version-check --only-binary :all: \
        --require-hashes "$@" | show_progress
}

# Reads what pip prints.
show_progress() {
    local line shown=$SECONDS fetched=0
    while IFS= read -r -t 5 line || [ $? -gt 128 ]; do
        [[ $line != Collecting* ]] || fetched=$((fetched + 1))
        [ $((SECONDS - shown)) -ge 5 ] || continue
        shown=$SECONDS
        say "$fetched packages found, $(find .venv/lib -maxdepth 4 -name '*.dist-info' | wc -l) unpacked"
    done
}

# Of torch there are many builds. One of the right version that is there already is kept; then comes the one for CPUs, if
# pip is told of an index that has it.
install_packages_of_python() {
    local locks=(-r requirements/run.txt) torch
    [ "$wanted" = run ] || locks+=(-r requirements/tests.txt)
    torch=$(grep -o '^torch==[0-9.]*' requirements/torch-cpu.txt)
    if ! grep -q "^$torch" <<<"$(.venv/bin/pip freeze 2>/dev/null)" &&
        ! install_locked --no-deps -r requirements/torch-cpu.txt 2>/dev/null; then
        say "pip found no build of $torch for CPUs whose hash is known, and takes that for CUDA, several gigabytes;
    name an index that has the other in PIP_EXTRA_INDEX_URL to avoid that"
        locks+=(-r requirements/torch-cuda.txt)
    fi
    install_locked "${locks[@]}"
    # The locks have all that this project needs, so nothing is fetched for it.
    .venv/bin/pip install -qq --no-compile --disable-pip-version-check --no-deps --no-build-isolation -e .
}

make_environment() {
    local python packages
    python=$(find_python)
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    # Scripts carry the environment's path: one that was moved or copied is made anew.
    .venv/bin/pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    packages=$(grep -ho '^[a-z][a-z0-9.-]*' requirements/run.txt "requirements/$wanted.txt" | sort -u | wc -l)
    say "installing the $packages Python packages of requirements/ into .venv"
    install_packages_of_python
    compile_what_is_used
    fingerprint >".venv/.setup-$wanted"
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

# Made before, with these very inputs.
has_environment() {
    local stamp
    for stamp in .venv/.setup-tests ".venv/.setup-$wanted"; do
        if [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
            .venv/bin/python -c 'from harness.trace.native.library import load_library; load_library()' 2>/dev/null
            return
        fi
    done
    return 1
}

run_command() {
    local name settings=()
    [ ${#command[@]} -gt 0 ] || return 0
    # This shell is not yet in a group that was just joined; sudo reads the groups again.
    if ! in_group libvirt; then
        for name in "${KEPT[@]}"; do [ -z "${!name+set}" ] || settings+=("$name=${!name}"); done
        exec sudo -u "$user" env TERM=dumb "${settings[@]}" "${command[@]}"
    fi
    exec "${command[@]}"
}

if ! has_environment || ! is_active net-info || ! is_active pool-info; then
    check_host
    install_packages
    open_kvm
    join_groups
    start_libvirt
    start_network
    start_pool
    has_environment || make_environment
    say "ready; \`source .venv/bin/activate\` makes \`harness\` a command of this shell"
fi
fetch_ubuntu_keys
run_command
