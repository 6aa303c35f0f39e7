#!/usr/bin/env bash
# Builds the Debian package from the release binary, with cargo-deb. Prints the path of the package.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --release --quiet
binary=target/release/tatmig
assets=target/debian-assets
rm -rf "$assets"
mkdir -p "$assets/man"
"$binary" man --dir "$assets/man"
"$binary" completions bash > "$assets/tatmig.bash"
"$binary" completions zsh > "$assets/_tatmig"
"$binary" completions fish > "$assets/tatmig.fish"

command -v cargo-deb > /dev/null || cargo install --quiet --locked cargo-deb
cargo deb --no-build --quiet
