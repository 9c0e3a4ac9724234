#!/usr/bin/env bash
# The images of the demo and the tests, made without a registry: from Debian's packages and the libraries they need.
#
#   images.sh [--force] [NAME...]    NAME is busybox, web, redis, postgres or nginx; default: all
#
# They go to the engine of DOCKER_HOST, and an image that is there already, made by this very script, is left alone.
#
#   mooring-demo/busybox:1    a shell and its tools, nothing else
#   mooring-demo/web:1, :2    an HTTP server on port 8080 that shows its version and GREETING; unhealthy while /tmp/sick exists
#   mooring-demo/redis:7      REDIS_PASSWORD, data in /data
#   mooring-demo/postgres:15  POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, data in /var/lib/postgresql/data
#   mooring-demo/nginx:1      sites in /etc/nginx/sites, on ports 80 and 443
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

recipe=$(cat "${BASH_SOURCE[0]}" "$here/lib.sh" | sha256sum | cut -c 1-16)
readonly recipe
work=''
trap '[[ -z $work ]] || rm -rf "$work"' EXIT

# Takes the Debian packages apart in $work/packages instead of installing them: a database server that was installed
# for a demo would start at the next boot. What is installed anyway is used as it is.
packages=/
unpack() {
  local witness=$1
  shift
  packages=/
  if [[ -e $witness && -z ${MOORING_DEV_UNPACK:-} ]]; then return; fi
  packages=$work/packages
  if [[ -e $packages$witness ]]; then return; fi
  mkdir -p "$packages" "$work/debs"
  say "downloading $* ..."
  (
    cd "$work/debs"
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get -qq -o APT::Sandbox::User=root download "$@" >"$work/log" 2>&1 </dev/null; then
      need_root "refreshing the package lists"
      apt-get -qq update >"$work/log" 2>&1 </dev/null || true
      apt-get -qq -o APT::Sandbox::User=root download "$@" >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        die "could not download $*; these images are made from the packages of Debian 12"
      }
    fi
    for deb in *.deb; do dpkg-deb -x "$deb" "$packages"; done
  )
}

# base ROOT: busybox and the few files that programs expect.
base() {
  local root=$1 applet
  mkdir -p "$root"/{bin,etc,proc,sys,dev,root,run,tmp,var,usr/local/bin}
  chmod 1777 "$root/tmp"
  ln -s /run "$root/var/run"
  cp -L "$(command -v busybox)" "$root/bin/busybox"
  for applet in $("$root/bin/busybox" --list); do
    [[ $applet == busybox ]] || printf '%s\0' "$applet"
  done | (cd "$root/bin" && xargs -0 -n 1 ln -s busybox)
  printf '%s\n' root:x:0:0:root:/root:/bin/sh app:x:1000:1000::/tmp:/bin/sh >"$root/etc/passwd"
  printf '%s\n' root:x:0: app:x:1000: >"$root/etc/group"
}

# program ROOT NAME: puts standard input into the image as a program of its own.
program() {
  cat >"$1/usr/local/bin/$2"
  chmod 755 "$1/usr/local/bin/$2"
}

# load ROOT TAG OWNER OWNED [INSTRUCTION...]: makes the image; OWNED is the one folder that is not root's.
load() {
  local root=$1 tag=$2 owner=$3 owned=$4 instruction before changes=()
  shift 4
  for instruction in "$@" "LABEL mooring-demo.recipe=$recipe"; do changes+=(-c "$instruction"); done
  tar -C "$root" --numeric-owner --owner=0 --group=0 --exclude="./$owned" -cf "$work/image.tar" .
  tar -C "$root" --numeric-owner --owner="$owner" --group="$owner" -rf "$work/image.tar" "./$owned"
  before=$(docker image inspect -f '{{.Id}}' "mooring-demo/$tag" 2>/dev/null) || before=''
  docker import "${changes[@]}" "$work/image.tar" "mooring-demo/$tag" >/dev/null
  # Its predecessor would stay without a name. While a container uses it, it has to.
  [[ -z $before ]] || docker image rm "$before" >/dev/null 2>&1 || true
}

build_busybox() {
  local root=$work/busybox
  cp -a "$work/base" "$root"
  mkdir "$root/data"
  load "$root" busybox:1 0 data 'CMD ["sh"]'
}

build_web() {
  local root=$work/web version
  cp -a "$work/base" "$root"
  mkdir "$root/srv"
  # The shell stays process 1 and passes the signal on: as process 1 the server itself would ignore it.
  program "$root" serve <<'SCRIPT'
#!/bin/sh
rm -rf /tmp/sick /tmp/www
mkdir -p /tmp/www
printf 'version %s\ngreeting %s\n' "$VERSION" "${GREETING:-none}" >/tmp/www/index.html
httpd -f -p 8080 -h /tmp/www &
trap 'kill $!; exit 0' TERM INT
wait $!
SCRIPT
  program "$root" healthy <<'SCRIPT'
#!/bin/sh
[ ! -e /tmp/sick ] && exec wget -q -O /dev/null http://127.0.0.1:8080/
SCRIPT
  for version in 1 2; do
    load "$root" "web:$version" 1000 srv "ENV VERSION=$version" 'USER 1000:1000' 'EXPOSE 8080' 'CMD ["serve"]' \
      'HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD ["healthy"]'
  done
}

build_redis() {
  local root=$work/redis
  [[ -e /usr/bin/redis-server && -z ${MOORING_DEV_UNPACK:-} ]] || apt_install libatomic1 libjemalloc2 liblzf1 libssl3 libsystemd0
  unpack /usr/bin/redis-server redis-server redis-tools
  cp -a "$work/base" "$root"
  printf 'redis:x:999:999::/data:/bin/sh\n' >>"$root/etc/passwd"
  printf 'redis:x:999:\n' >>"$root/etc/group"
  mkdir "$root/data"
  closure "$packages" "$root" /usr/bin/redis-server /usr/bin/redis-cli
  # The password comes by a file, so that it stands in no process list.
  program "$root" serve <<'SCRIPT'
#!/bin/sh
umask 077
{
  printf '%s\n' 'dir /data' 'appendonly yes' 'protected-mode no'
  [ -z "$REDIS_PASSWORD" ] || printf 'requirepass "%s"\n' "$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')"
} >/tmp/redis.conf
unset REDIS_PASSWORD
exec redis-server /tmp/redis.conf
SCRIPT
  program "$root" healthy <<'SCRIPT'
#!/bin/sh
[ -z "$REDIS_PASSWORD" ] || export REDISCLI_AUTH="$REDIS_PASSWORD"
[ "$(redis-cli ping)" = PONG ]
SCRIPT
  load "$root" redis:7 999 data 'USER 999:999' 'WORKDIR /data' 'VOLUME /data' 'EXPOSE 6379' 'CMD ["serve"]' \
    'HEALTHCHECK --interval=2s --timeout=2s --retries=3 CMD ["healthy"]'
}

build_postgres() {
  local root=$work/postgres home=/usr/lib/postgresql/15 program
  [[ -e $home/bin/postgres && -z ${MOORING_DEV_UNPACK:-} ]] || apt_install libgssapi-krb5-2 libicu72 libldap-2.5-0 libpam0g libpq5 libreadline8 libxml2 libxslt1.1
  unpack $home/bin/postgres postgresql-15 postgresql-client-15
  cp -a "$work/base" "$root"
  printf 'postgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >>"$root/etc/passwd"
  printf 'postgres:x:999:\n' >>"$root/etc/group"
  mkdir -p "$root/var/lib/postgresql/data" "$root/usr/share/zoneinfo"
  # Clients ask for UTC when they connect, and are refused where it is not known.
  [[ -e /usr/share/zoneinfo/Etc/UTC ]] || apt_install tzdata
  cp /usr/share/zoneinfo/Etc/UTC "$root/usr/share/zoneinfo/UTC"
  chmod 700 "$root/var/lib/postgresql/data"
  closure "$packages" "$root" $home/bin/{postgres,initdb,psql,pg_isready,pg_ctl,pg_dump} $home/lib/{plpgsql,dict_snowball,libpqwalreceiver}.so
  mkdir -p "$root/usr/share/postgresql"
  cp -a "${packages%/}/usr/share/postgresql/15" "$root/usr/share/postgresql/15"
  rm -rf "$root/usr/share/postgresql/15/man"
  for program in initdb psql pg_isready pg_ctl pg_dump; do ln -s "$home/bin/$program" "$root/usr/local/bin/$program"; done
  # The data directory gets its name when it is complete: a first start that was cut off begins again.
  program "$root" serve <<'SCRIPT'
#!/bin/sh
set -eu
data=/var/lib/postgresql/data/15
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -e "$data/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?is needed for the first start}"
  rm -rf "$data.new"
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb -D "$data.new" -U "$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C --no-sync --no-instructions
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$data.new/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s"\n' "$database" | /usr/lib/postgresql/15/bin/postgres --single -D "$data.new" postgres >/dev/null
  fi
  sync
  mv "$data.new" "$data"
fi
unset POSTGRES_PASSWORD
exec /usr/lib/postgresql/15/bin/postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
SCRIPT
  program "$root" healthy <<'SCRIPT'
#!/bin/sh
exec pg_isready -q -h 127.0.0.1 -U "${POSTGRES_USER:-postgres}"
SCRIPT
  load "$root" postgres:15 999 var/lib/postgresql 'USER 999:999' 'ENV PGHOST=/tmp' 'WORKDIR /var/lib/postgresql' \
    'VOLUME /var/lib/postgresql/data' 'EXPOSE 5432' 'CMD ["serve"]' \
    'HEALTHCHECK --interval=1s --timeout=3s --retries=5 --start-period=60s CMD ["healthy"]'
}

build_nginx() {
  local root=$work/nginx libs=/lib/x86_64-linux-gnu
  # The names of users and hosts are looked up by libraries that no program names.
  [[ -e /usr/sbin/nginx && -z ${MOORING_DEV_UNPACK:-} ]] || apt_install libpcre2-8-0 libssl3 zlib1g libcrypt1
  unpack /usr/sbin/nginx nginx nginx-common
  cp -a "$work/base" "$root"
  printf 'www-data:x:33:33::/var/www:/bin/false\n' >>"$root/etc/passwd"
  printf 'www-data:x:33:\n' >>"$root/etc/group"
  mkdir -p "$root/etc/nginx/sites" "$root/var/log/nginx" "$root/var/lib/nginx"
  closure "$packages" "$root" /usr/sbin/nginx
  closure / "$root" $libs/libnss_files.so.2 $libs/libnss_dns.so.2
  cat >"$root/etc/nginx/nginx.conf" <<'CONF'
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
    default_type application/octet-stream;
    access_log off;
    server_names_hash_max_size 4096;
    include sites/*.conf;
}
CONF
  load "$root" nginx:1 0 var/lib/nginx 'EXPOSE 80' 'EXPOSE 443' 'CMD ["/usr/sbin/nginx","-g","daemon off;"]'
}

tags_of() {
  case $1 in
    busybox) echo mooring-demo/busybox:1 ;;
    web) echo mooring-demo/web:1 mooring-demo/web:2 ;;
    redis) echo mooring-demo/redis:7 ;;
    postgres) echo mooring-demo/postgres:15 ;;
    nginx) echo mooring-demo/nginx:1 ;;
    *) die "there is no image $1; there are busybox, web, redis, postgres and nginx" ;;
  esac
}

present() {
  local tag
  for tag in $(tags_of "$1"); do
    [[ $(docker image inspect -f '{{index .Config.Labels "mooring-demo.recipe"}}' "$tag" 2>/dev/null) == "$recipe" ]] || return 1
  done
}

force=''
if [[ ${1:-} == --force ]]; then
  force=yes
  shift
fi
[[ $# -gt 0 ]] || set -- busybox web redis postgres nginx
for name in "$@"; do
  tags_of "$name" >/dev/null
done
for name in "$@"; do
  if [[ -z $force ]] && present "$name"; then
    say "$(tags_of "$name"): there already"
    continue
  fi
  begin=$(now_ms)
  if [[ -z $work ]]; then
    work=$(mktemp -d)
    apt_install busybox-static
    base "$work/base"
  fi
  "build_$name"
  say "$(tags_of "$name"): built in $(($(now_ms) - begin)) ms"
done
