#!/bin/sh
# Rewrites both lock files from pyproject.toml: every supported Python and platform in one file, all hashes, no index
# host (whoever installs uses the index their own pip is set up for). UPGRADE=1 takes newer versions; without it only
# what pyproject.toml no longer allows moves.
set -eu
cd "$(dirname "$0")/.."
compile() {
    UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile pyproject.toml --quiet ${UPGRADE:+--upgrade} \
        --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}
compile --group build --output-file requirements.lock
compile --group build --group dev --constraints requirements.lock --output-file requirements-dev.lock
