#!/usr/bin/env bash
# Packs the crate, and checks that it has every file that the program embeds. `cargo package` also
# builds it.
set -euo pipefail
cd "$(dirname "$0")/.."

crates=${CARGO_TARGET_DIR:-target}/package
rm -rf "$crates"
# The tests and benchmarks are not in it.
cargo package --quiet --allow-dirty --no-verify 2> >(grep -v '^warning: ignoring' >&2)
crate=$(echo "$crates"/tatmig-*.crate)
directory=$(basename "$crate" .crate)
tar -xzf "$crate" -C "$crates"

embedded=$(cd "$crates/$directory" && grep -rEo 'include_(str|bytes)!\("[^"]+"' src)
[ -n "$embedded" ]
while IFS=: read -r source call; do
    path=$(dirname "$source")/$(cut -d '"' -f 2 <<< "$call")
    if [ ! -e "$crates/$directory/$path" ]; then
        echo "$source embeds $path, which is not in the crate: change \`include\` in Cargo.toml" >&2
        exit 1
    fi
done <<< "$embedded"

echo "$(basename "$crate"): $(stat --format %s "$crate") bytes, $(tar -tzf "$crate" | wc -l) files"
