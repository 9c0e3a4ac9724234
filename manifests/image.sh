#!/usr/bin/env bash
# Makes the sidecar's image from scratch: the program and the libraries it loads, no shell, no package manager.
#
#   manifests/image.sh [TAG]     default: mooring:VERSION; the program is target/release/mooring, or $MOORING
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=dev/lib.sh
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
printf 'root:x:0:0:root:/:/usr/bin/mooring\n' >"$work/root/etc/passwd"
printf 'root:x:0:\n' >"$work/root/etc/group"
chmod 1777 "$work/root/tmp"
chmod 700 "$work/root/var/lib/mooring"
tar -C "$work/root" --numeric-owner --owner=0 --group=0 -c . | docker import \
  -c 'ENTRYPOINT ["/usr/bin/mooring"]' -c 'CMD ["run", "--desired", "/etc/mooring", "--state", "/var/lib/mooring"]' \
  -c 'ENV DOCKER_HOST=unix:///host/run/docker.sock' -c "LABEL org.opencontainers.image.version=$version" - "$tag" >/dev/null
say "$tag: $(docker image inspect -f '{{.Size}}' "$tag" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
