#!/usr/bin/env bash
# Builds the sidecar's image from this machine's own program and libraries. No registry is asked.
#
#   manifests/image/build.sh [TAG]     default: mooring:VERSION; the program is target/release/mooring, or $MOORING
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../dev/lib.sh
source "$top/manifests/dev/lib.sh"

if [[ -z ${MOORING:-} ]]; then
  cargo build --release --locked --manifest-path "$top/Cargo.toml"
fi
binary=${MOORING:-$top/target/release/mooring}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
tag=${1:-mooring:$version}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin/usr/bin" "$work/root"/{etc,tmp,etc/mooring,var/lib/mooring,host/run}
install "$binary" "$work/bin/usr/bin/mooring"
closure "$work/bin" "$work/root" /usr/bin/mooring
printf '%s\n' root:x:0:0:root:/:/usr/bin/mooring mooring:x:65532:65532::/:/usr/bin/mooring >"$work/root/etc/passwd"
printf '%s\n' root:x:0: mooring:x:65532: >"$work/root/etc/group"
chmod 1777 "$work/root/tmp"
chmod 700 "$work/root/var/lib/mooring"
# The engine's own builder: it needs no plug-in of the client's.
DOCKER_BUILDKIT=0 docker build --quiet --network none --label "org.opencontainers.image.version=$version" \
  --tag "$tag" --file "$top/manifests/image/Dockerfile" "$work/root" >/dev/null 2>"$work/log" || {
  cat "$work/log" >&2
  die "could not build $tag"
}
say "$tag: $(docker image inspect -f '{{.Size}}' "$tag" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
