#!/usr/bin/env bash
# Builds the packages from the program that `cargo build --release` built, installs the tarballs into
# an empty directory, runs the demo and the tests there. Arguments are passed to scripts/pack.mjs:
# `--program PATH` for another program.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

if ! command -v npm >/dev/null; then
    "$root/.ci/apt-install" npm
fi

# The compiler, pinned by its hash.
npm ci --ignore-scripts
rm -rf dist
npm run build
packages=${CARGO_TARGET_DIR:-$root/target}/npm
rm -rf "$packages"
node scripts/pack.mjs "$@"
ls -l "$packages"/*.tgz

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
# Offline: nothing but the two tarballs is installed, and npm does not ask for other platforms.
npm install --offline "$packages"/*.tgz
npx --no-install tatmig demo

cp -R "$root/packaging/npm/tests" "$root/packaging/npm/measure.mjs" "$root/packaging/documents" .
mkdir pages
cp "$root/README.md" "$root/docs/packages.md" pages/
node --test --test-reporter=spec tests/*.test.mjs
mkdir -p node_modules/@types
cp -R "$root/packaging/npm/node_modules/@types/node" node_modules/@types/node
cp -R "$root/packaging/npm/node_modules/undici-types" node_modules/undici-types
echo '{"type": "module"}' >package.json
"$root/packaging/npm/node_modules/.bin/tsc" --noEmit --strict --exactOptionalPropertyTypes \
    --module nodenext --target es2022 --types node tests/types.ts
node measure.mjs
