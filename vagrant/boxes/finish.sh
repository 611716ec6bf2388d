#!/bin/sh
# Runs inside the new root file system, last: the user, the units that start, the files to remove.
set -eu

useradd --create-home --shell /bin/bash vagrant
echo harness >/etc/hostname
printf '127.0.0.1 localhost harness\n::1 localhost\n' >/etc/hosts
echo '/dev/vda / ext4 defaults,noatime 0 0' >/etc/fstab
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id # else every machine would have the same; it is read from /etc without it

systemctl enable ssh.service systemd-networkd.service systemd-resolved.service \
    harness-keys.service harness-ready.service >/dev/null 2>&1

# Nothing may start by itself during a recording or hold the lock of apt.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer motd-news.timer logrotate.timer systemd-tmpfiles-clean.timer \
    systemd-networkd-wait-online.service systemd-timesyncd.service console-getty.service \
    getty@tty1.service ssh.socket; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

# Each machine makes its host key on its first boot; a key in the image would be the same in every machine.
rm -f /etc/ssh/ssh_host_*
