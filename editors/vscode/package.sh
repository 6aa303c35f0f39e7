#!/usr/bin/env bash
# Bundles the extension and packs it: `editors/vscode/package.sh` writes dist/tatmig.vsix.
# Everything it runs comes from the lock file, and no install script runs.
set -euo pipefail
cd "$(dirname "$0")"

npm ci --ignore-scripts --no-audit --no-fund
rm -rf dist LICENSE.txt
npm run --silent build -- --log-level=warning
cp ../../LICENSE LICENSE.txt
# The bundle holds the dependencies; the package is written beside it afterwards.
npx --no-install vsce package --no-dependencies --out tatmig.vsix
mv tatmig.vsix dist/
