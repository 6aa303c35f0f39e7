#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment, runs the demo and the tests of the package.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
python=${PYTHON:-python3}

cmp "$root/LICENSE" LICENSE.txt
./build.sh
wheel=$(echo "${CARGO_TARGET_DIR:-$root/target}"/wheels/*.whl)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }

# Nothing but the wheel: the package has no dependencies.
pip --no-index "$wheel"
cd "$work"
"$work/venv/bin/python" -m tatmig demo
"$work/venv/bin/tatmig" --version

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -1)
installed=$("$work/venv/bin/python" -c 'import tatmig; print(tatmig.__version__)')
if [ "$installed" != "$version" ]; then
    echo "the wheel has version $installed, Cargo.toml has $version" >&2
    exit 1
fi

pip --requirement "$root/packaging/python/requirements-dev.txt"
cd "$root/packaging/python"
"$work/venv/bin/ruff" check .
"$work/venv/bin/ruff" format --check src tests measure.py
"$work/venv/bin/mypy"
"$work/venv/bin/python" -m pytest -p no:cacheprovider
"$work/venv/bin/python" measure.py
