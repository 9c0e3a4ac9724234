#!/usr/bin/env bash
# Checks the scripts: their syntax always, their style when shellcheck is there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mapfile -t scripts < <(grep -rlIE '^#!.*\b(ba)?sh' .ci manifests; echo manifests/dev/lib.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck -x "${scripts[@]}"
  echo "${#scripts[@]} scripts: shellcheck ok"
else
  echo "${#scripts[@]} scripts: syntax ok; style not checked, shellcheck is not installed"
fi
