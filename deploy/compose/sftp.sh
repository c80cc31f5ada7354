#!/bin/sh
# Gives the SFTP server of compose.yaml a host key and its user a password, made at the first start, and leaves
# the bridge what it needs of them: files of its user, in a volume. Then it becomes the command that follows.
# $ROOT: where all of it lies below, for a test.
set -eu
root=${ROOT:-}
bridge=$root/run/s2s-bridge
keys=$root/var/lib/host-keys
umask 077

mkdir -p "$bridge" "$keys" "$root/etc/ssh" "$root/etc/sftp"
[ -s "$bridge/sftp-password" ] ||
    head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$bridge/sftp-password"
[ -s "$keys/ssh_host_ed25519_key" ] || ssh-keygen -q -t ed25519 -N '' -C sftp -f "$keys/ssh_host_ed25519_key"
[ -s "$keys/ssh_host_rsa_key" ] || ssh-keygen -q -t rsa -b 3072 -N '' -C sftp -f "$keys/ssh_host_rsa_key"
cp "$keys"/ssh_host_* "$root/etc/ssh/"
echo "sftp $(cat "$keys/ssh_host_ed25519_key.pub")" >"$bridge/known_hosts"
echo "agency:$(cat "$bridge/sftp-password"):::upload" >"$root/etc/sftp/users.conf"
[ "$(id -u)" != 0 ] || chown -R 10001:10001 "$bridge"

umask 022
exec "$@"
