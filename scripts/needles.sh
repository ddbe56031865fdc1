#!/usr/bin/env bash
# Makes needles in a haystack and two of RULER's tasks for SmolLM2, sweeps ten strategies over them at two moments of
# compression, and draws the maps. Nothing is downloaded but what set-up downloads. Safe to run again.
#
# Arguments go to the sweep, for example: scripts/needles.sh --limit 4 --output results/needles-short
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
program=build/release/bin/elastikv

scripts/setup.sh
scripts/build.sh release --target elastikv
"$cache/tools/bin/python" scripts/stampvlm/assemble.py --text-only models/smollm2/assembled

mkdir -p results/needles-data
made=(--model models/smollm2/assembled --lengths "1024,2048,4096")
"$program" make-task needle "${made[@]}" --text datasets/alice/alice.txt --depths "0,25,50,75,100" --rows 2 \
  --output results/needles-data/needle.jsonl
"$program" make-task ruler "${made[@]}" --tasks "niah_single_2,niah_multikey_1" --rows 4 \
  --output results/needles-data/ruler.jsonl

. scripts/output_option.sh
take_output results/needles "$@"
resume=()
[ -e "$output/sweep.json" ] && resume=(--resume)
"$program" sweep configs/long/needles.yaml "${arguments[@]}" "${resume[@]}" --output "$output"
"$cache/tools/bin/python" scripts/plot.py "$output"
