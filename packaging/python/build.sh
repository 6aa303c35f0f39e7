#!/usr/bin/env bash
# Builds the wheel into target/wheels, from the program that `cargo build --release` built.
# Arguments are passed to maturin. Without arguments the wheel is for machines like this one; a wheel
# for PyPI that runs with glibc 2.17: build.sh --compatibility manylinux2014 --zig
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
python=${PYTHON:-python3}

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    "$root/.ci/apt-install" python3-venv
fi

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check "$(grep '^maturin==' requirements-dev.txt)"

if [ $# = 0 ]; then
    set -- --compatibility linux
fi
wheels=${CARGO_TARGET_DIR:-$root/target}/wheels
rm -rf "$wheels"
"$tools/bin/maturin" build --release --locked --out "$wheels" "$@"
ls -l "$wheels"

program=${CARGO_TARGET_DIR:-$root/target}/release/tatmig
if [ -f "$program" ] && command -v objdump >/dev/null; then
    echo "the program needs $(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -1)"
fi
