#!/usr/bin/env bash
# Installs the Debian package, runs the demo, and removes the package again. Needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."

package=$(realpath "$(bash packaging/debian/build.sh)")
apt-get install --yes --no-install-recommends "$package"
dir=$(mktemp --directory)
(
    cd "$dir"
    /usr/bin/tatmig demo fleet
    cd fleet
    /usr/bin/tatmig status
)
rm -r "$dir"
test -e /usr/share/man/man1/tatmig-upgrade.1.gz
test -e /usr/share/bash-completion/completions/tatmig
test -e /usr/share/doc/tatmig/docs/lints.md -o -e /usr/share/doc/tatmig/docs/lints.md.gz
apt-get remove --yes tatmig
test ! -e /usr/bin/tatmig
echo "$(basename "$package"): $(stat --format %s "$package") bytes; installed, run and removed"
