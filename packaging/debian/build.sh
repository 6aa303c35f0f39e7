#!/usr/bin/env bash
# Builds the Debian package into target/debian, with cargo-deb, from the program that
# `cargo build --release` built. Prints the path of the package.
# Usage: packaging/debian/build.sh [TARGET], for the program of `cargo build --release --target TARGET`.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo_deb=3.8.0
targets=${CARGO_TARGET_DIR:-$PWD/target}
out=$targets/debian
arguments=(--no-build --quiet --locked --output "$out/")
program=$targets/release/tatmig
if [ $# = 1 ]; then
    program=$targets/$1/release/tatmig
    arguments+=(--target "$1")
fi

# Optimized only little: it runs for a second, and is built for longer.
if [ "$("$targets/tools/bin/cargo-deb" --version 2>/dev/null)" != "$cargo_deb" ]; then
    CARGO_TARGET_DIR=$targets/tools/build cargo install --quiet --locked --debug --root "$targets/tools" \
        --version "$cargo_deb" --no-default-features cargo-deb >&2
fi
# Cargo.toml names the files below this directory.
files=target/debian-files
packaging/program-files.sh "$program" "$files"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
cat > "$files/changelog" <<END
tatmig ($version-1) unstable; urgency=medium

  * Release $version; changelog.gz has the changes.

 -- $maintainer  $(git log -1 --format=%aD 2>/dev/null || date -R)
END
rm -rf "$out"
"$targets/tools/bin/cargo-deb" "${arguments[@]}"
