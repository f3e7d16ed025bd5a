#!/bin/bash
# The part of the lab that has to be a shell process: what runs as pid 1 of a virtual host, and its
# supervisor.
#
#   host-init.sh supervise DIR        one per host, outside: boots it, again after reboot(2), until power off
#   host-init.sh init DIR             pid 1 inside the new namespaces
#   host-init.sh enter CGROUP CMD...  joins a cgroup, then becomes CMD (so that freeze and kill reach it)
#
# DIR is the host's state directory; DIR/conf (written by host.ts) holds the settings as plain shell
# assignments. No state is kept here: crash, freeze and cut are done from outside on the cgroup and the links.
set -eu
self=$(readlink -f "${BASH_SOURCE[0]}")
verb=$1

supervise() {
  trap '' HUP INT
  echo 0 > "$CGROUP/supervisor/cgroup.procs"
  while :; do
    rm -f "$DIR/init.pid"
    : > "$DIR/events"
    rc=0
    unshare --time --boottime "-$(cut -d. -f1 /proc/uptime)" --mount --uts --ipc --net --pid \
      --fork --kill-child -- "$self" init "$DIR" || rc=$?
    rm -f "$DIR/init.pid"
    echo "host stopped with status $rc"
    # reboot(2) inside a pid namespace ends its init by SIGHUP for a restart and by SIGINT for power off
    [ "$rc" = 129 ] || exit 0
  done
}

in_switch() { nsenter --net="/run/netns/$SWITCH" -- "$@"; }

# plug_in IF MAC PORT BRIDGE: a cable from this host's IF to PORT on the switch, unplugged when the host is
# cut
plug_in() {
  in_switch ip link del "$3" 2>/dev/null || true
  in_switch ip link add "$3" type veth peer name "$1" netns 1
  in_switch ip link set "$3" master "$4"
  [ -e "$DIR/cut" ] || in_switch ip link set "$3" up
  ip link set "$1" address "$2"
}

network() {
  hostname "$NAME"
  ip link set lo up
  plug_in eth0 "$MAC0" "$PORT0" br-mgmt
  plug_in eth1 "$MAC1" "$PORT1" br-vm
  echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad
  ip link set eth1 addrgenmode none
  ip addr add "$ADDRESS/24" dev eth0
  ip link set eth0 up
  ip link set eth1 up
  ip route add default via "$GATEWAY"
}

# Whiteouts laid before the overlay is mounted, so that the host never sees those directories of the machine.
hide_machine() {
  local path
  for path in $HIDE; do
    [ -d "$path" ] || continue
    mkdir -p "$DIR/upper$(dirname "$path")"
    mknod "$DIR/upper$path" c 0 0
  done
}

devices() {
  local entry file major minor
  mount -t tmpfs -o mode=755,size=64k dev "$ROOT/dev"
  mkdir "$ROOT"/dev/{pts,shm,net,mqueue}
  mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$ROOT/dev/pts"
  mount -t tmpfs -o mode=1777 shm "$ROOT/dev/shm"
  ln -s pts/ptmx "$ROOT/dev/ptmx"
  ln -s /proc/self/fd "$ROOT/dev/fd"
  for entry in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${entry%:*}" "$ROOT/dev/${entry#*:}"; done
  for entry in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 net/tun:10:200 fuse:10:229 \
    loop-control:10:237; do
    IFS=: read -r file major minor <<<"$entry"
    mknod -m 666 "$ROOT/dev/$file" c "$major" "$minor"
  done
  for minor in 0 1 2 3 4 5 6 7; do mknod -m 660 "$ROOT/dev/loop$minor" b 7 "$minor"; done
  [ -z "$KVM" ] || mknod -m 660 "$ROOT/dev/kvm" c 10 232
}

filesystems() {
  [ -e "$DIR/born" ] || hide_machine
  mount -t overlay overlay -o "lowerdir=/,upperdir=$DIR/upper,workdir=$DIR/work" "$ROOT"
  mount -t proc proc "$ROOT/proc"
  cat /proc/sys/kernel/random/uuid > "$DIR/boot_id"
  mount --bind "$DIR/boot_id" "$ROOT/proc/sys/kernel/random/boot_id"
  [ ! -e "$ROOT/proc/sysrq-trigger" ] || mount --bind /dev/null "$ROOT/proc/sysrq-trigger"
  mount -t sysfs sysfs "$ROOT/sys"
  mount -t tmpfs -o mode=755 run "$ROOT/run"
  mkdir "$ROOT"/run/{lock,sshd,libvirt}
  chmod 1777 "$ROOT/run/lock"
  mount -t tmpfs -o mode=1777 tmp "$ROOT/tmp"
  mkdir -p "$ROOT/zstack_ps"
  mount --bind "$DISK" "$ROOT/zstack_ps"
  devices
  # systemd needs a cgroup tree; libvirt is told to do without one
  if [ "$INIT" = systemd ]; then mount -t cgroup2 cgroup2 "$ROOT/sys/fs/cgroup"
  else mount -t tmpfs -o mode=755 cgroup "$ROOT/sys/fs/cgroup"; fi
}

# First boot only: the host becomes somebody else than the machine it is made from.
identity() {
  local path
  for path in $HIDE; do mkdir -p "$ROOT$path"; done
  echo "$NAME" > "$ROOT/etc/hostname"
  tr -d - < /proc/sys/kernel/random/uuid > "$ROOT/etc/machine-id"
  cp "$DIR/../../hosts.txt" "$ROOT/etc/hosts"
  rm -f "$ROOT/etc/resolv.conf"
  # with no name server at all, look-ups fail at once instead of after ten seconds
  printf '%s' "${DNS:+nameserver $DNS$'\n'}" > "$ROOT/etc/resolv.conf"
  : > "$ROOT/etc/fstab"
  sshd_identity
  [ ! -d "$ROOT/etc/libvirt" ] || libvirt_identity
  if [ "$INIT" = mini ]; then mini_power; else systemd_units; fi
  touch "$DIR/born"
}

sshd_identity() {
  local pam=no
  [ "$INIT" = mini ] || pam=yes
  rm -rf "$ROOT"/etc/ssh/ssh_host_* "$ROOT/etc/ssh/sshd_config.d"
  ssh-keygen -q -t ed25519 -N '' -C "$NAME" -f "$ROOT/etc/ssh/ssh_host_ed25519_key"
  printf '%s\n' 'PermitRootLogin yes' 'PasswordAuthentication yes' "UsePAM $pam" 'UseDNS no' 'PrintMotd no' \
    'Subsystem sftp internal-sftp' 'MaxSessions 100' 'MaxStartups 100' > "$ROOT/etc/ssh/sshd_config"
  sed -i "s|^root:[^:]*:|root:$PASSWORD_HASH:|" "$ROOT/etc/shadow"
  chmod 700 "$ROOT/root"
  mkdir -p -m 700 "$ROOT/root/.ssh"
  install -m 600 "$DIR/../../key.pub" "$ROOT/root/.ssh/authorized_keys"
}

libvirt_identity() {
  local etc=$ROOT/etc/libvirt
  rm -f "$etc"/qemu/*.xml "$etc"/qemu/autostart/* "$etc"/qemu/networks/autostart/*
  printf '%s\n' 'listen_tls = 0' 'listen_tcp = 0' "host_uuid = \"$HOST_UUID\"" > "$etc/libvirtd.conf"
  printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'cgroup_controllers = []' \
    "migration_host = \"$ADDRESS\"" > "$etc/qemu.conf"
  if [ -d "$DIR/../../qemu-capabilities" ]; then
    mkdir -p "$ROOT/var/cache/libvirt/qemu"
    cp -a "$DIR/../../qemu-capabilities" "$ROOT/var/cache/libvirt/qemu/capabilities"
  fi
}

# The machine's reboot and poweroff are systemctl and would look for a systemd to ask.
mini_power() {
  local word
  for word in reboot poweroff; do
    rm -f "$ROOT/usr/sbin/$word"
    printf '#!/bin/sh\nexec systemctl --force --force %s\n' "$word" > "$ROOT/usr/sbin/$word"
    chmod 755 "$ROOT/usr/sbin/$word"
  done
}

# None of the units the machine enabled may start here; only sshd, cron and libvirt do.
systemd_units() {
  local etc=$ROOT/etc/systemd/system lib=/lib/systemd/system unit
  rm -rf "$etc"/*.wants "$ROOT"/etc/rc?.d/*
  mkdir "$etc"/{multi-user,sockets}.target.wants
  for unit in ssh cron; do ln -s "$lib/$unit.service" "$etc/multi-user.target.wants/"; done
  for unit in libvirtd libvirtd-ro virtlogd virtlockd; do
    ln -s "$lib/$unit.socket" "$etc/sockets.target.wants/"
  done
  for unit in systemd-networkd systemd-resolved systemd-timesyncd getty@ console-getty systemd-udevd \
    systemd-udev-trigger systemd-modules-load systemd-remount-fs e2scrub_reap; do
    ln -sf /dev/null "$etc/$unit.service"
  done
  for unit in sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
    systemd-udevd-control.socket systemd-udevd-kernel.socket; do ln -sf /dev/null "$etc/$unit"; done
  ln -sf "$lib/multi-user.target" "$etc/default.target"
  mkdir -p "$ROOT/var/log/journal"
  rm -rf "$ROOT"/var/log/journal/*
}

run_mini() {
  /usr/sbin/sshd 8>&-
  if command -v libvirtd >/dev/null; then
    virtlogd -d 8>&-
    libvirtd -d 8>&-
    # the first connection is answered once the drivers are up
    virsh -q -c qemu:///system version >/dev/null && echo libvirt >&8
  fi
  until [ -e /run/sshd.pid ]; do sleep 0.01; done
  echo ready >&8
  [ ! -x /etc/rc.local ] || /etc/rc.local 8>&- || echo "rc.local ended with status $?"
  exec 8>&-
  trap 'kill -9 -1' TERM
  while :; do sleep 1000000 & wait || true; done
}

init() {
  trap - HUP INT
  cd /
  if [ -z "${IN_CGROUP:-}" ]; then
    echo 0 > "$CGROUP/os/cgroup.procs"
    # turning the clock would turn the machine's; root of the cgroup namespace is the host's own group
    IN_CGROUP=1 exec unshare --cgroup -- setpriv --bounding-set -sys_time -- "$self" init "$DIR"
  fi
  local pid
  read -r pid _ < /proc/self/stat
  exec 8>>"$DIR/events"
  network
  filesystems
  [ -e "$DIR/born" ] || identity
  echo "$pid" > "$DIR/init.pid"
  echo booted >&8
  cd "$ROOT"
  mkdir -p .old
  pivot_root . .old
  umount -l /.old
  unset IN_CGROUP
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
  [ "$INIT" = mini ] || exec env -i container=zstack-lab PATH="$PATH" /lib/systemd/systemd 8>&-
  run_mini
}

case $verb in
  enter) cgroup=$2; shift 2; echo 0 > "$cgroup/cgroup.procs"; exec "$@" ;;
  supervise | init) DIR=$2; . "$DIR/conf"; ROOT=$DIR/root; "$verb" ;;
  *) echo "host-init.sh: unknown verb $verb" >&2; exit 2 ;;
esac
