#!/bin/sh
# image.sh ROOT WORK SIZE: mmdebstrap calls it after finish.sh, outside the root but inside its user namespace, so that
# files keep their owners without root rights on the host. Writes WORK/out/{disk.raw,vmlinuz,initrd,kernel,packages},
# and from apt's signed lists, for the pins of a lock: installed, roles (what the roles would install), archive.
set -eu
root=$1 work=$2 size=$3
out=$work/out here=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin

# shellcheck disable=SC2016 # dpkg-query fills these in
chroot "$root" dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' >"$out/installed"
# shellcheck source=/dev/null
release=$(. "$root/etc/os-release" && echo "$ID-$VERSION_ID")
echo "$release" >"$out/release"
# One at a time: a package that this release does not have must not hide the others.
while read -r package; do
    chroot "$root" apt-get install --simulate --no-install-recommends -q "$package" </dev/null ||
        echo "Unknown $package"
done <"$work/roles/$release" 2>/dev/null | grep -E '^(Inst|Unknown) ' | sort -u >"$out/roles" || true
{ cut -d ' ' -f 1 "$out/installed" && sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$out/roles"; } | sort -u |
    xargs chroot "$root" apt-cache show | awk -f "$here/index.awk" >"$out/archive"

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*
mkdir -p "$root"/var/lib/apt/lists/partial "$root"/var/cache/apt/archives/partial

cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"
basename "$root"/boot/vmlinuz-* | sed 's/^vmlinuz-//' >"$out/kernel"
# shellcheck disable=SC2016 # dpkg-query fills these in
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >"$out/packages"
rm -f "$root"/boot/initrd.img-*    # QEMU loads kernel and initrd itself; the image needs neither

# While mmdebstrap installs packages it keeps their servers from starting, and ends that only after this script.
rm -f "$root/usr/sbin/policy-rc.d"
[ ! -e "$root/sbin/start-stop-daemon.REAL" ] ||
    mv "$root/sbin/start-stop-daemon.REAL" "$root/sbin/start-stop-daemon"

# /proc, /sys and /dev are mounted in the root now: a plain bind mount shows the tree without them.
plain=$(mktemp -d)
mount --bind "$root" "$plain"
# mmdebstrap keeps its apt configuration in the root's /tmp and still needs it: so /tmp is hidden, not emptied.
mount -t tmpfs -o mode=1777 none "$plain/tmp"
# The features are listed explicitly: a guest kernel of 2018 must read what a current mke2fs writes.
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file
features=$features,huge_file,dir_nlink,extra_isize,metadata_csum
mke2fs -q -t ext4 -L root -m 1 -O "$features" -E lazy_itable_init=1,lazy_journal_init=1 \
    -d "$plain" "$out/disk.raw" "$size" 2>"$out/mke2fs.log" || {
    cat "$out/mke2fs.log" >&2
    exit 1
}
umount "$plain/tmp" "$plain"
rmdir "$plain"
chmod 644 "$out"/*
