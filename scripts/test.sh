#!/usr/bin/env bash
# Sets up, builds and passes the tests. Arguments go to ctest, for example: scripts/test.sh -R golden
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
scripts/setup.sh
scripts/build.sh release
# The parity and end-to-end tests run on the default model, and on its language model as it was before.
"$cache/tools/bin/python" scripts/stampvlm/assemble.py
"$cache/tools/bin/python" scripts/stampvlm/assemble.py --text-only models/smollm2/assembled
ctest --test-dir build/release -j "$(nproc)" --output-on-failure --no-tests=error "$@"
