#!/bin/sh
# lock.sh ROOT WORK: mmdebstrap calls it before it downloads a package, in the build of a locked box only. It compares
# the archive with WORK/lock (NAME VERSION ARCHITECTURE SHA256), writes what differs into WORK/out/moved, and lets apt
# choose no version that is not in the lock, here and later in the guest.
set -eu
root=$1 work=$2
here=$(dirname "$0")
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"

apt-get update -q --error-on=any    # mmdebstrap sees that it was run and does not run it again
cut -d ' ' -f 1 "$work/lock" | xargs apt-cache show 2>/dev/null | awk -f "$here/index.awk" >"$work/out/archive" || true
# For each line of the lock that the archive does not have so: the line, the SHA-256 of this very version there or `-`,
# and the newest version there, which apt shows first.
awk 'NR == FNR { sha256[$1, $2, $3] = $4; if (!($1 in newest)) newest[$1] = $2; next }
     { other = "-"; if (($1, $2, $3) in sha256) other = sha256[$1, $2, $3] }
     other != $4 { print $0, other, newest[$1] }' "$work/out/archive" "$work/lock" >"$work/out/moved"
if [ -s "$work/out/moved" ]; then
    echo "E: the archive does not have the packages of the lock" >&2
    exit 1
fi
install -m 644 "$work/preferences" "$root/etc/apt/preferences.d/harness-lock"
