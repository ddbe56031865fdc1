#!/usr/bin/env bash
# Sets up, builds and passes the tests. Arguments go to ctest, for example: scripts/test.sh -R golden
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
scripts/setup.sh
scripts/build.sh release
# The parity and end-to-end tests run on the default model.
"$cache/tools/bin/python" scripts/stampvlm/assemble.py
ctest --test-dir build/release -j "$(nproc)" --output-on-failure --no-tests=error "$@"
