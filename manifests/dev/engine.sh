#!/usr/bin/env bash
# A Docker Engine for development, tests and the demo.
#
#   engine.sh up             use the engine of DOCKER_HOST or /var/run/docker.sock; when there is none,
#                            install Debian's and start it
#   engine.sh up --second    a second, newer engine beside it, in a network namespace of its own
#   engine.sh host [--second]   print the engine's address, in the form of DOCKER_HOST
#   engine.sh answers        succeed when that engine answers
#   engine.sh status         what runs
#   engine.sh down [--second]   end what `up` started, and nothing else
#
# `up` prints `DOCKER_HOST=...` on standard output and everything else on standard error.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

readonly bridge=172.17.0.1
readonly second_suite=trixie
readonly second_lib=$MOORING_DEV_LIB/second second_run=$MOORING_DEV_RUN/second
readonly second_host=unix://$MOORING_DEV_RUN/engine2.sock
readonly second_netns=mooring-dev-2

first_host() { printf '%s\n' "${DOCKER_HOST:-unix:///var/run/docker.sock}"; }

# pid_of NAME: the process id kept for NAME when it is still that very program.
pid_of() {
  local file=$1 name pid
  name=$(basename "$file" .pid)
  [[ -r $file ]] && read -r pid <"$file" && [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/comm" 2>/dev/null) == "$name" ]] && printf '%s\n' "$pid"
}

# start PID_FILE LOG COMMAND...: starts a daemon that holds none of our files open.
start() {
  local pid_file=$1 log=$2
  shift 2
  setsid nohup "$@" >"$log" 2>&1 </dev/null 9>&- &
  printf '%s\n' $! >"$pid_file"
}

# stop PID_FILE SECONDS: asks, waits, and in the end insists.
stop() {
  local file=$1 limit=$2 pid i
  if pid=$(pid_of "$file"); then
    say "stopping $(basename "$file" .pid) ($pid)"
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < limit * 20; i++)); do
      pid_of "$file" >/dev/null || break
      sleep 0.05
    done
    if pid=$(pid_of "$file"); then
      say "it did not end in $limit s: killing it"
      kill -KILL "$pid" 2>/dev/null || true
    fi
  fi
  rm -f "$file"
}

# await WHAT PID_FILE LOG COMMAND...: until the command succeeds, the daemon dies, or a minute is over.
await() {
  local what=$1 pid_file=$2 log=$3 begin i
  shift 3
  begin=$(now_ms)
  for ((i = 0; $(now_ms) - begin < 60000; i++)); do
    if "$@"; then
      say "$what answers after $(($(now_ms) - begin)) ms"
      return
    fi
    if ! kill -0 "$(<"$pid_file")" 2>/dev/null; then
      tail -n 20 "$log" >&2
      die "$what ended at once; its log is $log"
    fi
    ((i % 100 != 99)) || say "still waiting for $what ..."
    sleep 0.05
  done
  tail -n 20 "$log" >&2
  die "$what did not answer in a minute; its log is $log"
}

containerd_config() {
  local root=$1 state=$2
  printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s/c.sock"\n' \
    "$root" "$state" "$state"
}

default_interfaces() { ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | sort -u; }

# Nothing that runs in a container leaves the machine.
fence() {
  local interface
  for interface in $(default_interfaces); do
    iptables -C DOCKER-USER -o "$interface" -j REJECT 2>/dev/null || iptables -I DOCKER-USER -o "$interface" -j REJECT
  done
}

unfence() {
  local interface
  for interface in $(default_interfaces); do
    while iptables -D DOCKER-USER -o "$interface" -j REJECT 2>/dev/null; do :; done
  done
}

up_first() {
  local host run=$MOORING_DEV_RUN lib=$MOORING_DEV_LIB
  host=$(first_host)
  command -v curl >/dev/null || apt_install curl ca-certificates
  if reachable "$host"; then
    command -v docker >/dev/null || apt_install docker.io
    if pid_of "$run/dockerd.pid" >/dev/null; then
      fence
      serve_names
    fi
    say "engine $(docker -H "$host" version --format '{{.Server.Version}}, API {{.Server.APIVersion}}') at $host"
    return
  fi
  [[ -z ${DOCKER_HOST:-} ]] || die "DOCKER_HOST is $DOCKER_HOST, where no engine answers; unset it to have one started"
  apt_install docker.io iptables iproute2 busybox-static dnsmasq-base curl jq
  need_root "starting an engine"
  mkdir -p "$run" "$lib"

  # A containerd of its own: the built-in one does not always come back after a crash of dockerd.
  if ! pid_of "$run/containerd.pid" >/dev/null; then
    containerd_config "$lib/containerd" "$run/containerd" >"$lib/containerd.toml"
    start "$run/containerd.pid" "$lib/containerd.log" containerd --config "$lib/containerd.toml"
  fi
  await containerd "$run/containerd.pid" "$lib/containerd.log" test -S "$run/containerd/c.sock"

  if ! pid_of "$run/dockerd.pid" >/dev/null; then
    # A killed dockerd leaves its pid file, and its successor would not start over it.
    rm -f "$run/docker.pid"
    start "$run/dockerd.pid" "$lib/dockerd.log" /usr/sbin/dockerd --containerd "$run/containerd/c.sock" -H "$host" \
      --data-root "$lib/docker" --exec-root "$run/docker" --pidfile "$run/docker.pid" --bip "$bridge/16" --dns "$bridge"
  fi
  await dockerd "$run/dockerd.pid" "$lib/dockerd.log" reachable "$host" 30
  fence
  serve_names
  say "engine $(docker -H "$host" version --format '{{.Server.Version}}, API {{.Server.APIVersion}}') at $host"
}

# A name server that knows no names: with none at all, engine 20.10 takes ten seconds to say so.
serve_names() {
  local run=$MOORING_DEV_RUN
  pid_of "$run/dnsmasq.pid" >/dev/null && return
  start "$run/dnsmasq.pid" "$MOORING_DEV_LIB/dnsmasq.log" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
    --bind-interfaces --listen-address="$bridge" '--local=/#/' --pid-file=
}

down_first() {
  local run=$MOORING_DEV_RUN
  if ! pid_of "$run/dockerd.pid" >/dev/null && ! pid_of "$run/containerd.pid" >/dev/null; then
    say "no engine was started from here"
    rm -f "$run"/{dockerd,containerd,dnsmasq}.pid
    return
  fi
  stop "$run/dockerd.pid" 30
  stop "$run/containerd.pid" 10
  stop "$run/dnsmasq.pid" 5
  unfence
  rm -f "$run/docker.pid"
}

# Unpacks, not installs, the engine of a later Debian: the machine's own packages and package lists stay as they are. Ends with 77 where
# that one cannot be had.
unpack_second() {
  local lib=$second_lib keys=/usr/share/keyrings/debian-archive-keyring.gpg codename uri options='' deb binary
  [[ ! -x $lib/root/usr/sbin/dockerd ]] || return 0
  rm -rf "$lib/debs" "$lib/root.new"
  mkdir -p "$lib/apt/lists/partial" "$lib/apt/cache/archives/partial" "$lib/debs" "$lib/altbin"
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  # shellcheck disable=SC2016 # The dollar signs are apt's.
  uri=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$codename main //p" | head -n 1)
  if [[ -z $uri ]]; then
    say "this machine's apt sources have no suite $codename to derive $second_suite from"
    exit 77
  fi
  [[ ! -r $keys ]] || options="[signed-by=$keys] "
  printf 'deb %s%s %s main\n' "$options" "$uri" "$second_suite" >"$lib/apt/sources.list"
  cat >"$lib/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$lib/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$lib/apt/lists";
Dir::Cache "$lib/apt/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
  say "downloading docker.io and containerd of $second_suite ..."
  (
    cd "$lib/debs"
    export APT_CONFIG=$lib/apt/apt.conf
    apt-get -qq update </dev/null >&2 || exit 77
    apt-get -qq download docker.io containerd </dev/null >&2 || exit 77
    for deb in *.deb; do dpkg-deb -x "$deb" ../root.new; done
  )
  # Not runc: trixie's needs a newer libc. The engine takes the machine's own.
  for binary in containerd containerd-shim-runc-v2 ctr docker-init; do ln -sf "$lib/root/usr/bin/$binary" "$lib/altbin/"; done
  ln -sf "$lib/root/usr/sbin/docker-proxy" "$lib/altbin/"
  rm -rf "$lib/debs" "$lib/root"
  mv "$lib/root.new" "$lib/root"
}

up_second() {
  local lib=$second_lib run=$second_run host=$second_host
  command -v curl >/dev/null || apt_install curl ca-certificates
  if ! reachable "$host"; then
    need_root "starting an engine"
    apt_install docker.io iptables iproute2 busybox-static curl jq # runc and the client come with docker.io
    mkdir -p "$run" "$lib"
    unpack_second
    if [[ ! -e /run/netns/$second_netns ]]; then
      ip netns add "$second_netns"
      ip -n "$second_netns" link set lo up
    fi
    export PATH=$lib/altbin:$PATH
    # `nsenter`, not `ip netns exec`: that one mounts /sys again, and the engine then misses its cgroups.
    if ! pid_of "$run/containerd.pid" >/dev/null; then
      containerd_config "$lib/containerd" "$run/containerd" >"$lib/containerd.toml"
      start "$run/containerd.pid" "$lib/containerd.log" nsenter --net="/run/netns/$second_netns" "$lib/altbin/containerd" --config "$lib/containerd.toml"
    fi
    await "the second containerd" "$run/containerd.pid" "$lib/containerd.log" test -S "$run/containerd/c.sock"
    if ! pid_of "$run/dockerd.pid" >/dev/null; then
      rm -f "$run/docker.pid"
      start "$run/dockerd.pid" "$lib/dockerd.log" nsenter --net="/run/netns/$second_netns" "$lib/root/usr/sbin/dockerd" \
        --containerd "$run/containerd/c.sock" -H "$host" --data-root "$lib/docker" --exec-root "$run/docker" --pidfile "$run/docker.pid"
    fi
    await "the second dockerd" "$run/dockerd.pid" "$lib/dockerd.log" reachable "$host" 30
  fi
  say "second engine $(docker -H "$host" version --format '{{.Server.Version}}, API {{.Server.APIVersion}}') at $host"
}

down_second() {
  stop "$second_run/dockerd.pid" 30
  stop "$second_run/containerd.pid" 10
  rm -f "$second_run/docker.pid"
  if [[ -e /run/netns/$second_netns ]]; then ip netns delete "$second_netns"; fi
}

status() {
  local host file pid
  for host in "$(first_host)" "$second_host"; do
    if reachable "$host"; then
      printf '%s  %s\n' "$host" "$(docker -H "$host" version --format 'engine {{.Server.Version}}, API {{.Server.APIVersion}}')"
    else
      printf '%s  no answer\n' "$host"
    fi
  done
  for file in "$MOORING_DEV_RUN"/*.pid "$second_run"/*.pid; do
    [[ $(basename "$file") != docker.pid ]] || continue
    if pid=$(pid_of "$file"); then printf '%s  started from here, process %s\n' "${file#"$MOORING_DEV_RUN"/}" "$pid"; fi
  done
}

# One `up` or `down` at a time.
lock() {
  if [[ $EUID -eq 0 ]]; then
    mkdir -p "$MOORING_DEV_RUN"
    exec 9>"$MOORING_DEV_RUN/lock"
    flock -w 300 9 || die "another engine.sh holds $MOORING_DEV_RUN/lock"
  fi
}

case "${1:-} ${2:-}" in
  'up ')
    lock
    up_first
    printf 'DOCKER_HOST=%s\n' "$(first_host)"
    ;;
  'up --second')
    lock
    up_second
    printf 'DOCKER_HOST=%s\n' "$second_host"
    ;;
  'down ')
    lock
    down_second
    down_first
    ;;
  'down --second')
    lock
    down_second
    ;;
  'host ') first_host ;;
  'host --second') printf '%s\n' "$second_host" ;;
  'answers ') reachable "$(first_host)" ;;
  'status ') status ;;
  *)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
