#!/usr/bin/env bash
# The backend manager's pages in headless Chromium: `browser.sh setup` brings what that needs, `browser.sh` runs the tests as well,
# with whatever words follow (`browser.sh looks`). Debian's Chromium, and axe-core out of a package of PyPI into target/tools: its
# licence (MPL-2.0) is not ours, so that it is not in the repository. Pictures of the pages are in target/screenshots afterwards.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
cd "$here/../.."

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  # Fonts are no part of it, and pages without letters look good to nobody.
  apt_install chromium chromium-driver fonts-dejavu-core
fi
# The browser of a test gets a network of its own.
command -v ip >/dev/null || apt_install iproute2
chromedriver --version >/dev/null || die 'chromedriver does not run, so that the pages cannot be tested'

axe=target/tools/axe/axe.min.js
package='axe-playwright-python==0.1.8'
if [[ ! -s $axe ]]; then
  say "fetching axe-core into target/tools, once ..."
  command -v pip3 >/dev/null || apt_install python3-pip
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  pip3 download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" "$package" \
    || die "$package cannot be fetched, so that nobody knows whether the pages are accessible"
  mkdir -p "${axe%/*}"
  # A wheel is a zip; Python is there, unzip perhaps not.
  python3 - "$folder" "$axe" <<'PYTHON'
import glob, sys, zipfile
folder, target = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel, open(target, "wb") as file:
    file.write(wheel.read("axe_playwright_python/axe.min.js"))
PYTHON
fi

[[ ${1-} != setup ]] || exit 0
cargo test --locked --all-features --test browser -- "$@"
