#!/usr/bin/env bash
# Remakes the Elastic Cache paper's tables and figures for one model, each with its report, its pictures and, where there
# are any, the published numbers beside it.
#
#   scripts/paper.sh                      the default model; tables and pictures go to results/stampvlm
#   scripts/paper.sh llava13b             one of llava7b, llava13b, qwenvl: needs the checkpoint, the data and a GPU
#                                         (configs/paper/fig2_llava13b.yaml says where they are looked for)
#   scripts/paper.sh stampvlm --limit 2   further arguments go to every sweep
#   scripts/paper.sh stampvlm --output X  folders of tables and pictures go into X
#
# Safe to run again: finished records are kept and interrupted sweeps continued; times are measured anew.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
program=build/release/bin/elastikv
python=$cache/tools/bin/python
say() { printf '\033[1m== %s\033[0m\n' "$*"; }

model=${1:-stampvlm}
shift || true
. scripts/output_option.sh
take_output "" "$@"
base=$output
case $model in
  stampvlm)
    scripts/setup.sh
    scripts/build.sh release --target elastikv
    "$python" scripts/stampvlm/assemble.py
    sweeps=(fig2 table3 fig3 defects)
    config() { echo "configs/stampvlm/$1.yaml"; }
    output() { echo "${base:-results/stampvlm}/$1"; }
    # Another model and other data than the published ones: `compare` says so.
    stands_for=(--model LLaVA-1.5-13B=stampvlm --data LLaVA-Description=detail-scenes)
    ;;
  llava7b | llava13b | qwenvl)
    scripts/setup.sh cuda
    scripts/build.sh cuda --target elastikv
    program=build/cuda/bin/elastikv
    sweeps=(fig2 table3 fig3)
    config() { echo "configs/paper/$1_$model.yaml"; }
    output() { echo "${base:-results}/$1_$model"; }
    stands_for=()
    [ "$model" = llava13b ] || stands_for=(--model "LLaVA-1.5-13B=*")
    ;;
  *)
    echo "error: unknown model '$model' (stampvlm, llava7b, llava13b, qwenvl)" >&2
    exit 1
    ;;
esac

# Times first, while nothing else has warmed the machine.
say "table2: throughput and memory"
"$program" bench "$(config table2)" --output "$(output table2)"
"$python" scripts/plot_bench.py "$(output table2)"

status=0
for name in "${sweeps[@]}"; do
  say "$name"
  resume=()
  [ -e "$(output "$name")/sweep.json" ] && resume=(--resume)
  "$program" sweep "$(config "$name")" "${arguments[@]}" "${resume[@]}" --output "$(output "$name")" || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || exit "$status"
  "$program" report "$(output "$name")" >/dev/null
  "$python" scripts/plot.py "$(output "$name")"
done

say "beside the published Table 3"
"$program" compare "$(output table3)" --with elastic-cache-table3 "${stands_for[@]}" --output "$(output table3)/compare.md"
exit "$status"
