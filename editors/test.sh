#!/usr/bin/env bash
# Tests the editors' files with the program: `editors/test.sh [TATMIG]`. Packs the extension for VS Code
# and runs its tests, then drives a headless Neovim.
set -euo pipefail
directory=$(dirname "$0")
program=$(realpath "${1:-$directory/../target/debug/tatmig}")
cd "$directory"

vscode/package.sh
(cd vscode && TATMIG_BIN=$program node --test tests/*.test.mjs)
neovim/test.sh "$program"
