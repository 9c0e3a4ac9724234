#!/usr/bin/env bash
# All tests, part by part, and how long each took. A part that fails does not keep the others from being run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

command -v jq >/dev/null || apt_install jq

names=() seconds=() results=()

part() {
  local name=$1 begin=$SECONDS result=ok
  shift
  printf '\n--- %s\n' "$name"
  "$@" || result=FAILED
  names+=("$name") seconds+=($((SECONDS - begin))) results+=("$result")
}

# shellcheck disable=SC2317 # What is named to `part` is called there.
suite() { cargo test --locked --all-features "$@"; }

part build suite --no-run
part library suite --lib --bins
part documentation suite --doc
for target in $(cargo metadata --locked --no-deps --format-version 1 | jq -r '.packages[0].targets[] | select(.kind == ["test"]) | .name'); do
  part "$target" suite --test "$target"
done
part 'another engine' "$here/generations.sh"
part schemathesis "$here/schemathesis.sh"

printf '\n'
total=0 failed=0
for i in "${!names[@]}"; do
  printf '%-16s %5d s  %s\n' "${names[i]}" "${seconds[i]}" "${results[i]}"
  total=$((total + seconds[i]))
  [[ ${results[i]} == ok ]] || failed=1
done
printf '%-16s %5d s\n' 'all' "$total"
exit "$failed"
