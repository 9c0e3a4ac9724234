#!/usr/bin/env bash
# All tests, part by part, and how long each took. A part that fails does not keep the others from being run. The models are waited for
# more than anything, so that part goes on beside those that only compute; and the other engine has a network of its own, so that it does
# beside what needs the first one a little.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

command -v jq >/dev/null || apt_install jq

results=$(mktemp -d)
beside=''
finish() {
  # Nobody else ends what goes on beside.
  [[ -z $beside ]] || kill -- "-$beside" 2>/dev/null || true
  rm -rf "$results"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

part() {
  local name=$1 begin=$SECONDS status=0 result
  shift
  printf '\n--- %s\n' "$name"
  "$@" || status=$?
  # As automake has it: 77 is for what cannot be tried here.
  case $status in 0) result=ok ;; 77) result=SKIPPED ;; *) result=FAILED ;; esac
  printf '%-16s %5d s  %s\n' "$name" $((SECONDS - begin)) "$result" >>"$results/parts"
}

# The same beside what comes next, until `join`. A group of its own, so that all of it can be ended.
beside() {
  set -m
  part "$@" >"$results/beside" 2>&1 </dev/null &
  beside=$!
  set +m
}

join() {
  wait "$beside"
  beside=''
  cat "$results/beside"
}

# Removes what tests left behind that were killed, by the process in its name. Whose process lives is at it.
sweep() {
  local host name=name=mtest- pid
  local -a removal
  host=$("$here/engine.sh" host)
  {
    docker -H "$host" ps --all --filter $name --format 'container rm --force {{.Names}}'
    docker -H "$host" network ls --filter $name --format 'network rm {{.Name}}'
    docker -H "$host" volume ls --filter $name --format 'volume rm {{.Name}}'
  } | while read -ra removal; do
    pid=$(sed -nE 's/^(mooring-lease-)?mtest-([0-9]+)-.*/\2/p' <<<"${removal[-1]}")
    if [[ -n $pid ]] && ! kill -0 "$pid" 2>/dev/null; then docker -H "$host" "${removal[@]}" >/dev/null; fi
  done
}

# shellcheck disable=SC2317 # What is named to `part` is called there.
suite() { cargo test --locked --all-features "$@"; }
# For the most part these wait: for the engine, for a probe, for something that shall not happen.
# shellcheck disable=SC2317
waiting() { RUST_TEST_THREADS=$((2 * $(nproc))) "$@"; }
# shellcheck disable=SC2317
simulation() { cargo test --locked --profile sim --test sim "$@"; }
# shellcheck disable=SC2317
build() { suite --no-run && simulation --no-run; }

sweep
part build build

beside ollama suite --test ollama
part library suite --lib --bins
part documentation suite --doc
part sim simulation
computing=(crds examples fuzz layers questions scenarios)
for target in "${computing[@]}"; do
  part "$target" suite --test "$target"
done
join

beside 'another engine' waiting "$here/generations.sh"
for target in $(cargo metadata --locked --no-deps --format-version 1 | jq -r '.packages[0].targets[] | select(.kind == ["test"]) | .name'); do
  [[ " ollama sim engine ${computing[*]} " == *" $target "* ]] || part "$target" suite --test "$target"
done
part schemathesis "$here/schemathesis.sh"
join
part engine waiting suite --test engine

printf '\n'
cat "$results/parts"
printf '%-16s %5d s\n' 'all' "$SECONDS"
! grep --quiet 'FAILED$' "$results/parts"
