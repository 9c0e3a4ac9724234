#!/usr/bin/env bash
# Holds the backend manager's API against its own description, with schemathesis from a venv in target/tools:
# a Mooring that only observes is started for it, on a port of its own, and asked whatever the description allows, and what it
# does not. Takes about a minute; MOORING names another program, EXAMPLES how many cases each route gets.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
cd "$here/../.."

: "${MOORING:=target/debug/mooring}" "${EXAMPLES:=10}"
[[ -x $MOORING ]] || die "there is no $MOORING; run: cargo build"

tool=target/tools/schemathesis/bin/schemathesis
if [[ ! -x $tool ]]; then
  say 'installing schemathesis into target/tools, once ...'
  python3 -m venv target/tools/schemathesis 2>/dev/null || { apt_install python3-venv && python3 -m venv target/tools/schemathesis; }
  if ! target/tools/schemathesis/bin/pip install --quiet --disable-pip-version-check 'schemathesis==4.*'; then
    say 'the API is NOT held against its description: schemathesis cannot be installed'
    exit 0
  fi
fi

world=$(mktemp -d)
pid=''
finish() {
  local status=$?
  trap - EXIT
  if [[ -n $pid ]]; then
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  [[ $status -eq 0 ]] || { say 'the end of its log:' && tail -n 20 "$world/log" >&2; }
  rm -rf "$world"
  exit "$status"
}
trap finish EXIT

mkdir "$world/desired" "$world/state"
cat >"$world/desired/web.yaml" <<'YAML'
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: schemathesis-web}
spec: {image: "mooring-demo/web:1"}
YAML
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
places=(--desired "$world/desired" --state "$world/state" --owner "schemathesis-$$")
CLAW_WEB_PASSWORD=$(head -c 24 /dev/urandom | base64) "$MOORING" run "${places[@]}" --observe-only --no-http --claw-port "$port" \
  >"$world/log" 2>&1 &
pid=$!
for _ in {1..100}; do
  if curl -fsS -o "$world/openapi.json" "http://127.0.0.1:$port/api/openapi.json" 2>/dev/null; then break; fi
  kill -0 "$pid" 2>/dev/null || die 'Mooring ended'
  sleep 0.1
done
[[ -s $world/openapi.json ]] || die 'Mooring does not answer'
token=$("$MOORING" "${places[@]}" claw token create schemathesis 2>/dev/null)

# Whether a wrong token is refused is a test of its own: here hundreds of them come from one address, and that is made to wait (429).
# Not every sentence is one that the grammar knows, nor every text SQL that only reads: of those a schema cannot say which are good.
cat >"$world/schemathesis.toml" <<'TOML'
[checks]
ignored_auth.enabled = false
TOML
for route in 'POST /claw/admin/db-query' 'POST /claw/playbooks' 'PATCH /claw/playbooks/{id}'; do
  printf '[[operations]]\ninclude-name = "%s"\nchecks.positive_data_acceptance.enabled = false\n' "$route"
done >>"$world/schemathesis.toml"

# The seed makes a failure one that can be had again. It keeps what it found beside where it is started: that goes with the world.
tool=$PWD/$tool
cd "$world"
"$tool" --config-file "$world/schemathesis.toml" run "http://127.0.0.1:$port/api/openapi.json" \
  --header "Authorization: Bearer $token" --max-examples "$EXAMPLES" --seed 1 --continue-on-failure --request-timeout 20 --no-color
