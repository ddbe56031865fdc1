#!/usr/bin/env bash
# Sets up a bare Debian machine, builds ElastiKV, assembles the default model and runs the main job: a budget sweep of
# Elastic Cache and its peers over the detail scenes. Ends with the table and the pictures. Safe to run again.
#
# Arguments go to the sweep, for example: scripts/quickstart.sh --limit 4 --output results/short
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
say() { printf '\033[1m== %s\033[0m\n' "$*"; }

say "1/4 set-up"
scripts/setup.sh

say "2/4 build (a few minutes the first time)"
scripts/build.sh release --target elastikv

say "3/4 the default model"
"$cache/tools/bin/python" scripts/stampvlm/assemble.py

say "4/4 the sweep: configs/quickstart.yaml"
. scripts/output_option.sh
take_output results/quickstart "$@"
resume=()
[ -e "$output" ] && resume=(--resume)
build/release/bin/elastikv sweep configs/quickstart.yaml "${arguments[@]}" "${resume[@]}" --output "$output"
"$cache/tools/bin/python" scripts/plot.py "$output"
