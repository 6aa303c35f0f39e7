#!/usr/bin/env bash
# Installs the Debian package in a fresh minimal system of the same release as this machine's, runs
# the demo there, and removes the package again. Needs root, or sudo.
set -euo pipefail
cd "$(dirname "$0")/../.."

package=$(packaging/debian/build.sh)
command -v mmdebstrap >/dev/null || .ci/apt-install mmdebstrap

as_root=$([ "$(id -u)" = 0 ] || echo sudo)
work=$(mktemp -d)
trap '$as_root rm -rf "$work"' EXIT
system=$work/system
# Neither apt nor documentation tools: only what each Debian system has.
$as_root mmdebstrap --quiet --variant=essential "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$system"
in_system() { $as_root chroot "$system" env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin "$@"; }
# The package manager's own records change with each package.
files() { $as_root find "$system" -xdev -path "$system/var" -prune -o -print | sort; }

files > "$work/before"
$as_root cp "$package" "$system/var/tatmig.deb"
in_system dpkg --install /var/tatmig.deb
in_system tatmig demo /var/fleet
in_system tatmig -C /var/fleet status
for file in man/man1/tatmig.1.gz man/man1/tatmig-upgrade.1.gz bash-completion/completions/tatmig \
    zsh/vendor-completions/_tatmig fish/vendor_completions.d/tatmig.fish doc/tatmig/copyright; do
    test -s "$system/usr/share/$file"
done
test -n "$(find "$system/usr/share/doc/tatmig" -name 'lints.md*')"
in_system dpkg --purge tatmig
files > "$work/after"
diff "$work/before" "$work/after"
echo "$(basename "$package"): $(stat --format %s "$package") bytes; installed, run and removed"
