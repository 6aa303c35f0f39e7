#!/usr/bin/env bash
# Writes what the program generates about itself: man pages, and completions for each shell.
# Usage: packaging/program-files.sh PROGRAM DIRECTORY
set -euo pipefail

program=$1
directory=$2
rm -rf "$directory"
mkdir -p "$directory/man" "$directory/completions"
"$program" man --dir "$directory/man"
for shell in bash zsh fish powershell elvish; do
    "$program" completions "$shell" > "$directory/completions/tatmig.$shell"
done
