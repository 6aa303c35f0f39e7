#!/usr/bin/env bash
# Packs a built binary with its man pages, completions and documents into dist/.
# Usage: packaging/archive.sh TARGET, after `cargo build --release --target TARGET`.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1
program=tatmig
case $target in *windows*) program=tatmig.exe ;; esac
binary=target/$target/release/$program
name=tatmig-$target
staging=target/archive/$name

rm -rf "$staging"
mkdir -p "$staging/man" "$staging/completions" dist
cp "$binary" README.md LICENSE CHANGELOG.md "$staging"
"$binary" man --dir "$staging/man"
for shell in bash zsh fish powershell elvish; do
    "$binary" completions "$shell" > "$staging/completions/tatmig.$shell"
done
case $target in
    *windows*) (cd target/archive && 7z a -tzip "../../dist/$name.zip" "$name" > /dev/null) ;;
    *) tar -C target/archive -czf "dist/$name.tar.gz" "$name" ;;
esac
