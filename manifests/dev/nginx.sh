#!/usr/bin/env bash
# The nginx of Debian, for the tests that run one of their own on loopback ports. Its service is neither started nor enabled.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

if command -v nginx >/dev/null; then exit 0; fi
apt_install nginx-light
# Whoever only wanted to run tests does not want a web server at the next boot.
if command -v systemctl >/dev/null; then systemctl disable nginx >/dev/null 2>&1 || true; fi
