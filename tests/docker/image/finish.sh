#!/bin/sh
# Runs inside a fresh Debian with PostgreSQL 17, before it becomes an image: makes of Debian's
# layout that of the official image, and takes away what a container never reads.
set -eu

# The official image's account: volumes and bind mounts are owned by this number.
groupmod -g 999 postgres
usermod -u 999 -g 999 -d /var/lib/postgresql postgres

# Debian's package makes a cluster of its own, and a key that every copy of it would share.
rm -rf /etc/postgresql/17 /var/lib/postgresql/17 /var/log/postgresql /var/cache/postgresql \
    /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
chown -R postgres:postgres /var/lib/postgresql
install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
install -d -o postgres -g postgres -m 3777 /var/run/postgresql
install -d /docker-entrypoint-initdb.d

# A server in a container is reached through its network or not at all.
sed -i "s/^#*listen_addresses\\b[^#]*/listen_addresses = '*'\t\t/" \
    /usr/share/postgresql/17/postgresql.conf.sample
grep -q "^listen_addresses = '\*'" /usr/share/postgresql/17/postgresql.conf.sample

# The default collation of the official image.
localedef -i en_US -c -f UTF-8 -A /usr/share/locale/locale.alias en_US.UTF-8

# What names the machine that made this, and what nobody reads.
rm -rf /etc/resolv.conf /etc/hostname /etc/apt/sources.list /etc/apt/sources.list.d/* \
    /debootstrap /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old \
    /var/log/*.log /var/log/apt /usr/share/doc/* /usr/share/man/* /usr/share/info/* \
    /usr/share/i18n /usr/share/lintian /usr/lib/postgresql/17/lib/bitcode \
    /tmp/* /var/tmp/*
find /usr/share/locale -mindepth 1 -maxdepth 1 ! -name locale.alias -exec rm -rf {} +
