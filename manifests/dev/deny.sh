#!/usr/bin/env bash
# Checks the dependency tree against deny.toml, with cargo-deny from the machine or from target/tools.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
cd "$here/../.."

if ! deny=$(command -v cargo-deny); then
  deny=target/tools/bin/cargo-deny
  if [[ ! -x $deny ]]; then
    say 'building cargo-deny into target/tools, once (some minutes) ...'
    cargo install --locked --root target/tools cargo-deny
  fi
fi
"$deny" --locked check bans licenses sources
# The advisories are a repository of their own, which not every machine can reach. Without it this part cannot be done.
if log=$(timeout 120 "$deny" --locked fetch db 2>&1); then
  "$deny" --locked check --disable-fetch advisories
else
  say "advisories NOT checked: their database cannot be fetched (${log##*fatal: })"
fi
