#!/usr/bin/env bash
# Runs Mooring on a copy of examples/shop, breaks the stack in twelve ways, and shows what Mooring does about each.
#
# Everything it makes is called mooring-demo-* or mooring_demo_*, belongs to the owner `demo`, and is gone afterwards.
# Exits with 1 when a fault was not corrected within the time limit.
#
#   MOORING=path   use this binary instead of building one
#   LIMIT=30       seconds that a correction may take
#   PAUSE=0        seconds between one fault and the next
#
# With --clean it only removes what a killed demo left behind.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck disable=SC2034 # lib.sh reads it.
colour_of=1
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

readonly limit=${LIMIT:-30} pause=${PAUSE:-0} owner=demo
readonly prefix=mooring-demo
mooring=${MOORING:-$top/target/release/mooring}
scratch='' pid='' desired='' state='' front=''
rows=() failures=0

# --- what is shown -----------------------------------------------------------

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$reset"; }
note() { printf '%s\n' "$*"; }
# Shows a command as it would be typed, then runs it.
shown() {
  local word line=''
  for word; do
    [[ $word != ask ]] || word=mooring
    if [[ $word =~ [^A-Za-z0-9_./:,=@%+-] ]]; then line+=" '$word'"; else line+=" $word"; fi
  done
  printf '%s$%s%s\n' "$dim" "$line" "$reset"
  "$@" >/dev/null
}

# --- Mooring -----------------------------------------------------------------

ask() { "$mooring" "$@" --state "$state"; }

running() { [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null; }

start_mooring() {
  local port=$1
  printf '%s$ mooring run --desired %s --state %s --owner %s --http 127.0.0.1:%s &%s\n' "$dim" "$desired" "$state" "$owner" "$port" "$reset"
  # In a session of its own, so that Ctrl-C reaches this script alone and Mooring is stopped in order.
  setsid "$mooring" run --desired "$desired" --state "$state" --owner "$owner" --http "127.0.0.1:$port" >"$scratch/mooring.log" 2>&1 </dev/null &
  pid=$!
}

# Asks Mooring to end and checks that it does so in order.
stop_mooring() {
  local status=0 begin i
  running || {
    status=0
    wait "$pid" || status=$?
    pid=''
    note "${red}mooring had ended by itself, with $status${reset}"
    tail -n 20 "$scratch/mooring.log"
    return 1
  }
  begin=$(now_ms)
  kill -TERM "$pid"
  for ((i = 0; i < 200; i++)); do
    running || break
    sleep 0.05
  done
  if running; then
    note "${red}mooring did not end within 10 s of SIGTERM: killing it${reset}"
    kill -KILL "$pid"
  fi
  wait "$pid" || status=$?
  pid=''
  note "mooring ended with $status, $(($(now_ms) - begin)) ms after SIGTERM"
  return "$status"
}

# The lines of the audit log that were not there before.
audit() { ask audit log --actor reconciler --limit 500 2>/dev/null || true; }
remember() { audit >"$scratch/audit.before"; }
show_record() {
  sleep 0.3 # the last outcome follows its effect
  note "${dim}what Mooring recorded:${reset}"
  audit | grep -vxFf "$scratch/audit.before" | sed 's/^/  /' || note '  (nothing)'
  if [[ -n ${1:-} ]]; then
    note "${dim}events of $1:${reset}"
    ask events --for "$1" 2>/dev/null | tail -n 4 | sed 's/^/  /' || true
  fi
}

# --- what is looked at -------------------------------------------------------

look() { docker inspect -f "$2" "$prefix-$1" 2>/dev/null; }
id_of() { look "$1" '{{.Id}}'; }
started() { look "$1" '{{.State.Running}} {{.State.StartedAt}}'; }
is_healthy() { [[ $(look "$1" '{{.State.Health.Status}}') == healthy ]]; }
# Runs, and not since the same moment as before.
runs_anew() { [[ $(started "$1") == true\ * && $(started "$1") != "$2" ]]; }
serves() { docker exec "$prefix-$1" wget -q -O - http://127.0.0.1:8080/ 2>/dev/null | grep -qxF "$2"; }
address_of() { look "$1" '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'; }
# visit PATH: what nginx answers the world: the status, then the body.
visit() {
  local status='' line body=''
  exec 9<>"/dev/tcp/127.0.0.1/$front" || return
  printf 'GET %s HTTP/1.0\r\nHost: shop.localhost\r\n\r\n' "$1" >&9
  while IFS= read -r line <&9; do
    line=${line%$'\r'}
    [[ -n $status ]] || status=${line#* }
    [[ -n $line ]] || break
  done
  body=$(cat <&9)
  exec 9<&-
  printf '%s\n%s\n' "${status%% *}" "$body"
} 2>/dev/null
# answers PATH LINE: whether this line is in what nginx answers.
answers() { visit "$1" | grep -qxF "$2"; }
shows() { note "$1 answers $(visit "$1" | head -n 3 | tr '\n' ' ')"; }
all_healthy() {
  local name
  for name in postgres redis api web; do is_healthy "$name" || return 1; done
}
is_up() { all_healthy && answers / 'version 1' && answers /api/ 'version 1'; }
ids() {
  local name
  for name in postgres redis api web; do id_of "$name" || true; done
}
# The hash of one value, or of all of them, whatever the order: enough to compare, nothing to see.
value_hash() { grep -s "^$1=" "$desired/.env.secrets" | sha256sum; }
file_hash() { if [[ -s $desired/.env.secrets ]]; then grep -E '^[A-Z_]+=.' "$desired/.env.secrets" | sort | sha256sum; fi; }
same_value() { [[ -s $desired/.env.secrets && $(value_hash "$1") == "$2" ]]; }
same_file() { [[ $(file_hash) == "$1" && $(stat -c %a "$desired/.env.secrets") == 600 ]]; }

# until_true COMMAND...: leaves the milliseconds since $begin in $took; fails at the time limit, or when Mooring is gone.
begin=0 took=0
until_true() {
  while true; do
    if "$@"; then
      took=$(($(now_ms) - begin))
      return
    fi
    took=$(($(now_ms) - begin))
    ((took < limit * 1000)) && running || return 1
    sleep 0.01
  done
}

# When the engine first called the web unhealthy after $begin: nobody can know of the fault before.
called_unhealthy() {
  docker events --since "$((begin / 1000))" --until "$(($(now_ms) / 1000 + 1))" --filter "container=$prefix-web" --filter event=health_status \
    --format '{{.TimeNano}} {{.Action}}' | sed -n 's/......\( .*unhealthy\)$/\1/p' | awk -v begin="$begin" '$1 >= begin { print $1; exit }'
}

# healed FAULT COMMAND...: waits for the correction; with $healthy set, also for that container to be healthy; with
# $from set, the time runs from the moment that this command prints.
healthy='' from=''
healed() {
  local fault=$1 first moment after='-'
  shift
  if ! until_true "$@"; then
    note "${red}not corrected within $limit s${reset}"
    rows+=("$fault|NOT CORRECTED|-")
    failures=$((failures + 1))
    running || die "mooring is gone: $(tail -n 5 "$scratch/mooring.log")"
    return
  fi
  if [[ -n $from ]]; then
    moment=$($from)
    if [[ -n $moment ]]; then
      note "the engine called it unhealthy after $((moment - begin)) ms; the time runs from there"
      took=$((took - (moment - begin)))
      begin=$moment
    fi
  fi
  first=$took
  if [[ -n $healthy ]]; then
    if until_true is_healthy "$healthy"; then
      after="$took ms"
    else
      after='NOT HEALTHY'
      failures=$((failures + 1))
    fi
    note "${green}corrected after $first ms${reset}, healthy after $after"
  else
    note "${green}corrected after $first ms${reset}"
  fi
  rows+=("$fault|$first ms|$after")
}

fault() {
  sleep "$pause"
  title "$*"
  remember
  healthy='' from=''
}

# --- the faults --------------------------------------------------------------

kill_web() {
  local before
  fault 'A container is killed'
  before=$(started web)
  begin=$(now_ms)
  shown docker kill "$prefix-web"
  healthy=web
  healed 'docker kill' runs_anew web "$before"
  show_record Container/web
}

remove_api() {
  local before
  fault 'A container is removed'
  before=$(started api)
  begin=$(now_ms)
  shown docker rm -f "$prefix-api"
  healthy=api
  healed 'docker rm -f' runs_anew api "$before"
  show_record Container/api
}

sicken_web() {
  local before
  fault 'A container runs, but its health check fails'
  before=$(started web)
  begin=$(now_ms)
  shown docker exec "$prefix-web" touch /tmp/sick
  from=called_unhealthy
  healthy=web
  healed 'unhealthy' runs_anew web "$before"
  show_record Container/web
}

delete_secret() {
  local before containers
  fault 'A secret is deleted from its file'
  before=$(value_hash PLUGIN_INTERNAL_SECRET)
  containers=$(ids)
  note "its hash was  ${before:0:16}"
  shown sed -i '/^PLUGIN_INTERNAL_SECRET=/d' "$desired/.env.secrets"
  begin=$(now_ms)
  healed 'secret line deleted' same_value PLUGIN_INTERNAL_SECRET "$before"
  note "its hash is   $(value_hash PLUGIN_INTERNAL_SECRET | cut -c 1-16): the very same value, so no container had to be replaced"
  check_untouched "$containers"
  show_record Environment/shop
}

delete_file() {
  local before containers
  fault 'The whole file is deleted'
  before=$(file_hash)
  containers=$(ids)
  note "the hash of its values was  ${before:0:16}"
  shown rm "$desired/.env.secrets"
  begin=$(now_ms)
  healed 'secrets file deleted' same_file "$before"
  note "the hash of its values is   $(file_hash | cut -c 1-16), mode $(stat -c %a "$desired/.env.secrets" 2>/dev/null)"
  check_untouched "$containers"
  show_record Environment/shop
}

check_untouched() {
  sleep 1
  if [[ $(ids) != "$1" ]]; then
    note "${red}a container was replaced all the same${reset}"
    failures=$((failures + 1))
  fi
}

change_image() {
  fault 'A newer image is declared'
  note "served now: $(docker exec "$prefix-web" wget -q -O - http://127.0.0.1:8080/ | head -n 1)"
  shown sed -i 's,mooring-demo/web:1,mooring-demo/web:2,' "$desired/web.yaml"
  begin=$(now_ms)
  healthy=web
  healed 'image changed' serves web 'version 2'
  note "served now: $(docker exec "$prefix-web" wget -q -O - http://127.0.0.1:8080/ | head -n 1)"
  show_record Container/web
}

change_variable() {
  fault 'A variable is changed'
  shown sed -i 's,Hello from the API,Hello again,' "$desired/api.yaml"
  begin=$(now_ms)
  healthy=api
  healed 'variable changed' serves api 'greeting Hello again'
  show_record Container/api
}

move_api() {
  local before
  fault 'A backend moves, and a stranger takes its address'
  before=$(address_of api)
  note "the API is at $before; for as long as this takes, Mooring is asked not to bring it back"
  shown ask hold container/api --for 10m --reason 'moving it' --desired "$desired"
  shown docker rm -f "$prefix-api"
  shown docker run -d --pull never --name "$prefix-stranger" --network mooring_demo_network -e GREETING=stranger mooring-demo/web:1
  note "the stranger is at $(address_of stranger): an nginx that looks names up once would now answer from it"
  shown ask release container/api --desired "$desired"
  begin=$(now_ms)
  healed 'backend moved' answers /api/ "greeting Hello again"
  note "the API is at $(address_of api) now"
  shows /api/
  docker rm -f "$prefix-stranger" >/dev/null
  show_record Proxy/edge
}

edit_site() {
  local site=$desired/nginx/sites/shop.localhost.conf before
  fault 'A generated nginx file is edited by hand'
  before=$(sha256sum <"$site")
  shown sed -i 's/:8080;/:9999;/' "$site"
  begin=$(now_ms)
  healed 'site edited by hand' same_site "$site" "$before"
  show_record Proxy/edge
}
same_site() { [[ $(sha256sum <"$1") == "$2" ]]; }

break_route() {
  fault 'A route is declared that leads nowhere'
  shown sed -i '/stripPath/,/port:/s/8080/9999/' "$desired/nginx.yaml"
  begin=$(now_ms)
  healed 'broken route refused' is_refused
  ask get proxy/edge -o wide || true
  shows /api/
  show_record Proxy/edge
  shown sed -i 's/port: 9999/port: 8080/' "$desired/nginx.yaml"
  ask wait proxy/edge --for condition=Ready --timeout "${limit}s" || failures=$((failures + 1))
}
# It says so, and what worked before is in force.
is_refused() { ask get proxy/edge -o json | grep -q RouteFails && answers /api/ 'greeting Hello again'; }

# --- the model ---------------------------------------------------------------

# The registry that ollama knows by name is not to be had here: this is one that answers like it.
want_model() {
  fault 'A model is wanted'
  docker run -d --pull never --name "$prefix-models" --network mooring_demo_network --network-alias registry.ollama.ai \
    --network-alias blobs.test -e RATE=60m mooring-demo/models:1 >/dev/null
  sed -e 's/environment: assistant/environment: shop/' -e "s/assistant-ollama/$prefix-ollama/" -e 's,ollama/ollama:latest,mooring-demo/ollama:1,' \
    -e 's/assistant_models/mooring_demo_models/' -e 's/assistant_network/mooring_demo_network/' \
    -e 's/^      volume:/      onManualStop: heal\n&/' "$top/examples/model/model.yaml" >"$scratch/model.yaml"
  shown ask apply -f "$scratch/model.yaml" --desired "$desired"
  begin=$(now_ms)
  watch_pull &
  healed 'model wanted' has_model
  wait $!
  show_model
}

has_model() { docker exec "$prefix-ollama" /bin/ollama list 2>/dev/null | grep -q '^gemma3:4b'; }
lacks_model() { ! has_model; }
# What `mooring get` says meanwhile, once a second.
watch_pull() {
  local said='' now i
  for ((i = 0; i < limit; i++)); do
    now=$(ask get modelprovider/default 2>/dev/null | tail -n 1)
    [[ $now == "$said" || -z $now ]] || note "  $now"
    said=$now
    if has_model; then return; fi
    sleep 1
  done
}
show_model() {
  ask wait modelprovider/default --for condition=Ready --timeout "${limit}s" || failures=$((failures + 1))
  note "chosen: $(grep '^AI_' "$desired/.env.computed" | tr '\n' ' ')"
  show_record ModelProvider/default
}

stop_ollama() {
  local before
  fault 'ollama is stopped'
  note 'its manifest says onManualStop: heal; without that, a stop by hand is respected'
  before=$(started ollama)
  shown docker stop --time 1 "$prefix-ollama"
  begin=$(now_ms)
  healed 'ollama stopped' runs_anew ollama "$before"
  show_record ModelProvider/default
}

delete_model() {
  fault 'The model is deleted'
  shown docker exec "$prefix-ollama" /bin/ollama rm gemma3:4b 2>/dev/null
  until_true lacks_model
  note 'the engine does not tell: it is seen with the next resync, within ten seconds'
  begin=$(now_ms)
  healed 'model deleted' has_model
  show_record ModelProvider/default
}

# --- before and after --------------------------------------------------------

free_port() {
  local port
  for ((port = $1; port < $1 + 100; port++)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
  die "no free port from $1 on"
}

# Removes what the demo makes: by its owner's label and by names that nobody else uses.
sweep() {
  local found
  found=$({
    docker ps -aq --filter "label=dev.mooring.owner=$owner"
    docker ps -aq --filter "name=^/?$prefix-(postgres|redis|api|web|nginx|stranger|ollama|models)"
  } | sort -u)
  # shellcheck disable=SC2086 # One argument each.
  [[ -z $found ]] || docker rm -fv $found >/dev/null
  found=$(docker network ls -q --filter 'name=^mooring_demo_')
  # shellcheck disable=SC2086
  [[ -z $found ]] || docker network rm $found >/dev/null
  found=$(docker volume ls -q --filter 'name=^mooring_demo_')
  # shellcheck disable=SC2086
  [[ -z $found ]] || docker volume rm $found >/dev/null
}

cleanup() {
  local status=$?
  trap - EXIT INT TERM
  set +e
  if [[ -n $pid ]]; then
    stop_mooring
  fi
  if [[ -n $scratch ]]; then
    note "${dim}removing the demo's containers, network, volumes and files${reset}"
    sweep
    rm -rf "$scratch"
  fi
  exit "$status"
}

summary() {
  title 'Summary'
  {
    printf 'fault|corrected|healthy\n'
    printf '%s\n' "${rows[@]}"
  } | while IFS='|' read -r fault corrected after; do printf '  %-22s %14s %14s\n' "$fault" "$corrected" "$after"; done
}

take_lock() {
  exec 8>"${TMPDIR:-/tmp}/mooring-demo.lock"
  flock -n 8 || die 'another demo is running'
}

main() {
  if [[ ${1:-} == --clean ]]; then
    take_lock
    sweep
    return
  fi
  title 'Engine, images, program'
  eval "$("$here/engine.sh" up | sed 's/^DOCKER_HOST=/export &/')"
  "$here/images.sh"
  "$here/ollama.sh"
  if [[ -z ${MOORING:-} ]]; then
    note 'building mooring (some minutes the first time) ...'
    cargo build --release --locked --manifest-path "$top/Cargo.toml"
  fi
  [[ -x $mooring ]] || die "$mooring is not a program"

  take_lock
  sweep
  scratch=$(mktemp -d)
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  desired=$scratch/shop state=$scratch/state
  cp -r "$top/examples/shop" "$desired"
  mkdir -m 700 "$state"
  front=$(free_port 18181)
  # Names and a port of its own, so that it meets nobody else's shop.
  sed -i -e "s/containerName: shop-/containerName: $prefix-/" -e 's/shop_\(network\|postgres_data\|redis_data\)/mooring_demo_\1/' \
    -e "s/127.0.0.1:18080:/127.0.0.1:$(free_port 18080):/" -e "s/127.0.0.1:18081:/127.0.0.1:$front:/" "$desired"/*.yaml

  title 'A directory of manifests becomes a running stack'
  ls -A "$desired"
  begin=$(now_ms)
  start_mooring "$(free_port 9464)" 8>&-
  until_true is_up || {
    tail -n 20 "$scratch/mooring.log"
    die "the stack did not become healthy within $limit s"
  }
  note "${green}five containers, one network, two volumes, four secrets, and nginx leads to both backends: after $took ms${reset}"
  rows+=("everything created|$took ms|$took ms")
  ask wait --for condition=Ready --timeout "${limit}s" || die 'not everything is Ready'
  ask get || true

  kill_web
  remove_api
  sicken_web
  delete_secret
  delete_file
  change_image
  change_variable
  move_api
  edit_site
  break_route
  want_model
  stop_ollama
  delete_model

  title 'The audit log'
  audit
  title 'SIGTERM'
  stop_mooring || failures=$((failures + 1))
  summary
  if ((failures > 0)); then
    note "${red}$failures of the above did not go as they should${reset}"
    exit 1
  fi
  note ''
  note "The engine is left running; \`make down\` ends it when it was started from here."
}

# Sourced by a test, the functions are there and nothing runs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
