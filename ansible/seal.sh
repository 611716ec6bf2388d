#!/bin/sh
# Runs as root in a provisioned guest, last, before its disk is kept for later runs. Removes what belongs to this one
# machine, so that every machine made from the disk makes its own. What the roles installed stays.
set -eu

systemctl stop systemd-random-seed.service # it would write its file once more at shutdown
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id # systemd would take the next id from here
rm -f /etc/ssh/ssh_host_*
rm -rf /home/vagrant/.ssh /home/vagrant/.ansible /home/vagrant/.cache /root/.ssh /root/.ansible /root/.cache
rm -f /home/vagrant/.sudo_as_admin_successful /home/vagrant/.bash_history /root/.bash_history

apt-get clean
rm -rf /var/lib/apt/lists/*
mkdir -p /var/lib/apt/lists/partial
rm -rf /var/log/journal
find /var/log -type f -delete # the folders stay: nginx and others expect theirs
find /tmp /var/tmp -xdev -type f -delete
sync
