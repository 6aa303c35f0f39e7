#!/usr/bin/env bash
# Packs a built program with its man pages, completions and documents into dist/.
# Usage: packaging/archive.sh TARGET, after `cargo build --release --target TARGET`.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1
program=tatmig
case $target in *windows*) program=tatmig.exe ;; esac
binary=${CARGO_TARGET_DIR:-target}/$target/release/$program
# Cargo.toml (binstall), action.yml and targets.json know this name.
name=tatmig-$target
staging=${CARGO_TARGET_DIR:-target}/archive/$name

packaging/program-files.sh "$binary" "$staging"
cp "$binary" README.md LICENSE CHANGELOG.md "$staging"
mkdir -p dist
case $target in
    *windows*) (out=$PWD/dist && cd "$staging/.." && 7z a -tzip "$out/$name.zip" "$name" > /dev/null) ;;
    *) tar -C "$staging/.." -czf "dist/$name.tar.gz" "$name" ;;
esac
