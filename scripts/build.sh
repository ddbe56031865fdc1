#!/usr/bin/env bash
# Configures and builds one preset (default: release) after set-up. Arguments after the preset go to the build.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true
cmake --preset "$preset" >"${TMPDIR:-/tmp}/elastikv-configure.$$" 2>&1 || {
  cat "${TMPDIR:-/tmp}/elastikv-configure.$$" >&2
  exit 1
}
rm -f "${TMPDIR:-/tmp}/elastikv-configure.$$"
cmake --build --preset "$preset" "$@"
