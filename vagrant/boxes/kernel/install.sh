#!/bin/sh
# install.sh ROOT WORK KIND ...: mmdebstrap calls it after all packages of the box are installed, outside the root. It
# installs the one kernel of the box, and leaves why it could not in WORK/out/kernel-problem.
#   deb                    WORK/kernel.deb and, from the box's own suite, what it needs
#   image RELEASE          WORK/vmlinuz and WORK/modules.tar (paths from lib/ on)
#   suite SUITE PACKAGE    the package, and from its suite what the box's own suite has not or not new enough
set -eu
root=$1 work=$2 kind=$3
shift 3
problem() {
    echo "$1" >"$work/out/kernel-problem"
    exit 1
}
apt() {
    APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --no-install-recommends -o Dir::Bin::dpkg=env \
        -o DPkg::Options::=--unset=TMPDIR -o DPkg::Options::=dpkg -o DPkg::Chroot-Directory="$root" "$@"
}
refused() { # the reasons that apt or dpkg gave, in one line
    grep -E '^( .*(Depends|Conflicts|Breaks): |E: |dpkg: error)' "$work/out/apt.log" | tr -s ' ' | tr '\n' ';' |
        sed 's/^ //; s/; *$//; s/;/; /g' | cut -c 1-600
}

case $kind in
deb)
    cp "$work/kernel.deb" "$root/kernel.deb"
    set -- "$root/kernel.deb"
    ;;
suite)
    set -- "$2/$1"
    ;;
image)
    release=$1
    cp "$work/vmlinuz" "$root/boot/vmlinuz-$release"
    chmod 644 "$root/boot/vmlinuz-$release"
    lib=$root/usr/lib
    [ -L "$root/lib" ] || lib=$root/lib
    mkdir -p "$lib/modules/$release"
    [ ! -s "$work/modules.tar" ] || tar -C "$lib" --strip-components=1 --no-same-owner -xf "$work/modules.tar"
    # mkinitramfs asks the configuration whether the kernel unpacks gzip, and an image comes without one.
    echo CONFIG_RD_GZIP=y >"$root/boot/config-$release"
    { chroot "$root" depmod "$release" && chroot "$root" update-initramfs -c -k "$release"; } >"$work/out/apt.log" 2>&1 || {
        cat "$work/out/apt.log" >&2
        problem "no initial RAM disk could be made: $(grep -E '^(E|depmod): ' "$work/out/apt.log" | tail -n 1)"
    }
    rm "$root/boot/config-$release"
    ;;
esac
if [ "$kind" != image ]; then
    apt install "$@" >"$work/out/apt.log" 2>&1 || {
        cat "$work/out/apt.log" >&2
        problem "it cannot be installed: $(refused)"
    }
    cat "$work/out/apt.log"
fi
rm -f "$root/kernel.deb" "$root/etc/apt/sources.list.d/harness-kernel.list" "$root/etc/apt/preferences.d/harness-kernel"
count=$(find "$root/boot" -name 'vmlinuz-*' | wc -l)
[ "$count" = 1 ] || problem "it leaves $count kernels in /boot instead of one"
release=$(basename "$root"/boot/vmlinuz-* | sed 's/^vmlinuz-//')
[ -e "$root/boot/initrd.img-$release" ] || chroot "$root" update-initramfs -c -k "$release"
