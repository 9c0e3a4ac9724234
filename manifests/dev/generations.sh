#!/usr/bin/env bash
# Runs tests of the engine suite on another generation of Docker Engine than this host's: the one of the next Debian, in a
# network namespace of its own (see engine.sh). Events come in another order there, and say other things.
#
#   generations.sh [FILTER...]    default: what depends on events and on how an engine does things
#
# Ends with 77 where the packages of a second engine cannot be had; that it does not start is a failure.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

# One of each kind of correction, what the engine may do in the middle of it, and what it may say of itself.
filters=(deaths:: drift:: networks:: people:: replacements:: outages:: crashes:: hostile::what proxy::a_backend_that_moves)
[[ $# -eq 0 ]] || filters=("$@")

first=$("$here/engine.sh" host)
second=$("$here/engine.sh" host --second)
# Who starts it ends it.
reachable "$second" || trap '"$here/engine.sh" down --second' EXIT
status=0
"$here/engine.sh" up --second >/dev/null || status=$?
case $status in
  0) ;;
  77)
    # Its packages are of a later Debian than this machine's, which not every mirror has at every time.
    say 'SKIPPED: there is no second engine to be had here'
    exit 77
    ;;
  *) die 'the second engine does not start' ;;
esac

# Both engines have the same images: what was made for the first one is handed over.
missing=()
for image in busybox:1 web:1 web:2 redis:7 nginx:1; do
  image=mooring-demo/$image
  made=$(docker -H "$first" image inspect --format '{{.Id}}' "$image")
  [[ $(docker -H "$second" image inspect --format '{{.Id}}' "$image" 2>/dev/null) == "$made" ]] || missing+=("$image")
done
if [[ ${#missing[@]} -gt 0 ]]; then
  say "handing over ${missing[*]} ..."
  docker -H "$first" save "${missing[@]}" | docker -H "$second" load >/dev/null
fi

cd "$top"
# What a test target was built to.
program() {
  cargo test --locked --all-features --test "$1" --no-run --message-format=json | jq -r --arg name "$1" 'select(.target.name == $name) | .executable // empty'
}

engine=$(program engine) docker=$(program docker)
for filter in "${filters[@]}"; do
  [[ $("$engine" --list "$filter") == *': test'* ]] || die "no test is called $filter"
done
say "on $(docker -H "$second" version --format 'engine {{.Server.Version}}, API {{.Server.APIVersion}}')"
beside() { DOCKER_HOST=$second nsenter --net=/run/netns/mooring-dev-2 "$@"; }
[[ $# -gt 0 ]] || beside "$docker"
beside "$engine" "${filters[@]}"
