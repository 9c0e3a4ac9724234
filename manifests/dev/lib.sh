# What the scripts beside this file share. Sourced, never run.
# shellcheck shell=bash

# Folders of everything the scripts install or start. Nothing else of theirs is on the machine.
: "${MOORING_DEV_LIB:=/var/lib/mooring-dev}"
: "${MOORING_DEV_RUN:=/run/mooring-dev}"

# Progress goes to standard error, so that standard output carries answers only. Colour only for people.
if [[ -t ${colour_of:-2} && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' reset=$'\e[0m'
else
  bold='' dim='' red='' green='' reset=''
fi
# shellcheck disable=SC2034 # The scripts that source this file use them.
readonly bold dim red green reset

say() { printf '%s\n' "$*" >&2; }
die() {
  printf '%serror:%s %s\n' "$red" "$reset" "$*" >&2
  exit 1
}

now_ms() { printf '%s\n' "${EPOCHREALTIME/[.,]/}" | sed 's/...$//'; }

need_root() { [[ $EUID -eq 0 ]] || die "$1 needs root; run it with sudo"; }

# Installs the Debian packages that are missing, without starting any service.
apt_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  command -v apt-get >/dev/null || die "cannot install ${missing[*]}: this is not a Debian"
  need_root "installing ${missing[*]}"
  say "installing ${missing[*]} ..."
  local policy=/usr/sbin/policy-rc.d log
  log=$(mktemp)
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  else
    policy=''
  fi
  # One source that cannot be refreshed is no reason to stop: the packages may come from another.
  DEBIAN_FRONTEND=noninteractive apt-get -qq update >"$log" 2>&1 </dev/null || say "apt-get update reported errors; going on"
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null || status=$?
  [[ -z $policy ]] || rm -f "$policy"
  if [[ $status -ne 0 ]]; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "could not install ${missing[*]}"
  fi
  rm -f "$log"
}

# Whether an engine answers at this address (the form of DOCKER_HOST).
reachable() {
  local address=$1 limit=${2:-5}
  case $address in
    unix://*) [[ -S ${address#unix://} ]] && curl -sf -o /dev/null --max-time "$limit" --unix-socket "${address#unix://}" http://engine/_ping ;;
    tcp://*) curl -sf -o /dev/null --max-time "$limit" "http://${address#tcp://}/_ping" ;;
    *) docker -H "$address" version >/dev/null 2>&1 ;;
  esac
}

# closure SOURCE ROOT PROGRAM...: copies programs that lie below SOURCE, with every library that they load.
closure() {
  local source=${1%/} root=$2 program library
  shift 2
  for program in "$@"; do
    install -D "$source$program" "$root$program"
    while read -r library; do
      [[ -e $root$library ]] || cp --parents -L "$library" "$root"
    done < <(ldd "$source$program" 2>/dev/null | grep -oE '/[^ )]+' | sort -u)
    if ldd "$source$program" 2>/dev/null | grep 'not found' >&2; then die "$program lacks a library"; fi
  done
}
