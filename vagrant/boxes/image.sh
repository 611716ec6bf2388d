#!/bin/sh
# image.sh ROOT OUT SIZE: mmdebstrap calls it after finish.sh, outside the root but inside its user namespace, so that
# files keep their owners without root rights on the host. Writes OUT/{disk.raw,vmlinuz,initrd,kernel,packages}.
set -eu
root=$1 out=$2 size=$3
PATH=$PATH:/usr/sbin:/sbin

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*
mkdir -p "$root"/var/lib/apt/lists/partial "$root"/var/cache/apt/archives/partial

cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"
basename "$root"/boot/vmlinuz-* | sed 's/^vmlinuz-//' >"$out/kernel"
# shellcheck disable=SC2016 # dpkg-query fills these in
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >"$out/packages"
rm -f "$root"/boot/initrd.img-*    # QEMU loads kernel and initrd itself; the image needs neither

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
