#!/bin/bash
# A libvirt host of its own for a test: net, mount and uts namespaces with a private /run, /etc/libvirt and /var/*/libvirt.
# usage: private-host.sh DIR NAME   (DIR on tmpfs; stays in the foreground until it is killed; prints "ready")
set -eu
if [ "${3:-}" != inside ]; then
  exec unshare --mount --net --uts --ipc --pid --fork --kill-child --propagation private -- "$0" "$1" "$2" inside
fi
dir=$1 name=$2
mkdir -p "$dir"/{run,etc,lib,log,cache,tmp,local}
hostname "$name"
mount -t proc proc /proc
mount -t sysfs sysfs /sys 2>/dev/null || true
cp -a /etc/libvirt/. "$dir/etc/"
mount --bind "$dir/run" /run
mkdir -p /run/zstack
mount --bind "$dir/etc" /etc/libvirt
mkdir -p /var/cache/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$dir/cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log
# A checkout below /tmp stays visible: what runs in here comes from it.
repository=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$dir/repository"
mount --bind "$repository" "$dir/repository"
mount --bind "$dir/tmp" /tmp
[ -d "$repository" ] || { mkdir -p "$repository" && mount --bind "$dir/repository" "$repository"; }
# A path that is private to each host, as local storage is.
mkdir -p /run/local
rm -f /etc/libvirt/qemu/networks/autostart/*
printf '127.0.0.1 localhost %s\n' "$name" > "$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
printf 'host_uuid = "%s"\nlisten_tls = 0\n' "$(cat /proc/sys/kernel/random/uuid)" >> /etc/libvirt/libvirtd.conf
printf 'user="root"\ngroup="root"\nsecurity_driver="none"\ncgroup_controllers=[]\nstdio_handler="file"\nremember_owner=0\n' \
  >> /etc/libvirt/qemu.conf
ip link set lo up
ip link add br_eth1 type bridge forward_delay 0
ip link set br_eth1 up
ip link add eth1 type veth peer name eth1-far
# The end of standard input is the end of the test, however it came: nothing may stay behind.
exec 3<&0
{
  cat <&3 > /dev/null
  touch /run/over
  kill -9 -1
} &
# The daemon is started again when it ends, as a service manager does it.
while :; do
  /usr/sbin/libvirtd >>/var/log/libvirtd.out 2>&1 &
  daemon=$!
  echo $daemon > /run/libvirtd.test-pid
  [ -n "${told:-}" ] || echo ready
  told=1
  wait $daemon || true
  [ ! -e /run/over ] || exit 0
  # Left by the test to keep libvirt away for a while.
  while [ -e /run/no-libvirtd ] && [ ! -e /run/over ]; do sleep 0.1; done
done
