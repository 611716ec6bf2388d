#!/bin/sh
# source.sh ROOT WORK SUITE PACKAGE: mmdebstrap calls it before it downloads a package, in the build of a box with a
# kernel of another suite. It adds the suite to apt's sources, such that apt takes nothing from it by itself, and looks
# whether it has the package. What is wrong goes into WORK/out/kernel-problem.
set -eu
root=$1 work=$2 suite=$3 package=$4
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"

# The archive that has the box's own suite has the other suites too; the security updates lie in one of their own.
case $suite in *-security) own='-security$' ;; *) own='^[a-z]*$' ;; esac
awk -v own="$own" -v suite="$suite" '
    $1 == "deb" {
        at = 2    # of the address; options in brackets may stand before it
        if ($2 ~ /^\[/) { while ($at !~ /\]$/) at++; at++ }
        if ($(at + 1) ~ own) { $(at + 1) = suite; print; exit }
    }' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/harness-kernel.list"
# By code name, or by another name of the suite, such as unstable.
printf 'Package: *\nPin: release %s=%s\nPin-Priority: 1\n\n' n "$suite" a "$suite" \
    >"$root/etc/apt/preferences.d/harness-kernel"

if ! apt-get update -q --error-on=any 2>"$work/out/update.log"; then
    cat "$work/out/update.log" >&2
    if grep -qE "$suite(-security)? Release. (does not have|no longer has) a Release file|404 +Not Found" "$work/out/update.log"; then
        echo "the archive has no suite $suite" >"$work/out/kernel-problem"
    fi
    exit 1
fi
if ! apt-cache madison "$package" | grep -qE " $suite/| $suite-updates/"; then
    echo "the suite $suite has no package $package" >"$work/out/kernel-problem"
    exit 1
fi
