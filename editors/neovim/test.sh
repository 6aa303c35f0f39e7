#!/usr/bin/env bash
# Runs test.lua in a headless Neovim: `editors/neovim/test.sh [TATMIG]`. `NVIM` names another Neovim.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=${1:-$here/../../target/debug/tatmig}
nvim=${NVIM:-nvim}

if ! command -v "$nvim" >/dev/null; then
    echo "neovim is not installed: editors/neovim is not tested"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/notes"
cp "$program" "$work/bin/tatmig"
cat >"$work/notes/MIGRATIONS.md" <<'DOCUMENT'
# Migrations

## Baseline: 1.0.0

**Date**: 2026-05-04
**Description**: Notes – with an “é” before the code

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0

**Date**: 2026-06-01
**Description**: Notes can be pinned and have labels

```sql
-- [user:1.0.0→1.1.0:start]
ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
CREATE TABLE labels (name TEXT PRIMARY KEY);
-- [user:1.0.0→1.1.0:end]
```
DOCUMENT
cd "$work/notes"
"$nvim" --version | head -1
# No settings of the user, and none of their files.
for part in config data state cache; do
    export "XDG_${part^^}_HOME=$work/$part"
done
PATH=$work/bin:$PATH timeout 120 "$nvim" --headless -u NONE -i NONE -n -c "luafile $here/test.lua"
