#!/usr/bin/env bash
# Installs the application into an empty environment, with the wheel that packaging/python/test.sh
# built, and runs its tests.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
python=${PYTHON:-python3}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip --require-hashes --requirement requirements-dev.txt
# `pip install tatmig`, once tatmig is on PyPI.
pip --no-index "${CARGO_TARGET_DIR:-$root/target}"/wheels/*.whl

"$work/venv/bin/ruff" check .
"$work/venv/bin/ruff" format --check .
"$work/venv/bin/mypy" --cache-dir "$work/mypy"
"$work/venv/bin/python" -m pytest -p no:cacheprovider
