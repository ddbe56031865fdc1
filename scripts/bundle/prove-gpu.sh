#!/usr/bin/env bash
# Proves ElastiKV on a GPU, in 8 minutes and without a network: docs/gpu.md. It is at the root of the folder that
# scripts/bundle.sh makes; in the source tree it takes the programs of a build.
#
#   ./prove-gpu.sh                      everything, most telling first
#   ./prove-gpu.sh --only sweep,kernels parts of it
#   scripts/bundle/prove-gpu.sh --device emulated --quick --bin build/release/bin    whether it works, as CI asks
#
# Each part has a time limit of its own, and writes PART.json and PART.log as it ends. page.md and prove-gpu.json are
# made anew after each, so that a run which is cut off tells what it knows. The page needs a python3, which is there
# where LibTorch is Python's torch.
# The exit code is 0 when no part failed or ran out of its time, else 1.
set -uo pipefail

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

parts="device tests families sweep kernels 7b-16 7b-1 direct-1 7b-48 7b-8 gaps memcheck racecheck initcheck"
parts+=" 13b-16 13b-1 13b-48 13b-8 qwen-16 qwen-1 qwen-48 qwen-8"
device=cuda
quick=
bin=
output=results/prove-gpu
seconds=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --device | --bin | --output | --seconds | --only)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --device) device=$2 ;;
        --bin) bin=$(CDPATH='' cd "$2" 2>/dev/null && pwd) || fail "--bin: there is no folder '$2'" ;;
        --output) output=$2 ;;
        --seconds) seconds=$2 ;;
        --only)
          for part in ${2//,/ }; do
            [[ " $parts " == *" $part "* ]] || fail "--only: there is no part '$part'; use ${parts// /, }"
          done
          parts=${2//,/ }
          ;;
      esac
      shift
      ;;
    *) fail "unknown option '$1' (--device, --quick, --bin, --output, --seconds, --only)" ;;
  esac
  shift
done
# A shortened run is about the script: a busy machine must not fail it.
slack=${quick:+5}
seconds=${seconds:-$((480 * ${slack:-1}))}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "--seconds needs a number of seconds, not '$seconds'"
case $device in
  cuda) program=elastikv tests=cuda_test ;;
  emulated)
    program=emulated_elastikv tests=cuda_emulation_test
    # Programs beside it that wait for all cores, too, would hardly move.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    ;;
  *) fail "unknown device '$device' (cuda, emulated)" ;;
esac
case $output in /*) ;; *) output=$PWD/$output ;; esac

here=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
if [ -d "$here/libexec" ]; then
  root=$here pages=$here/libexec/prove_gpu.py
else
  root=$here/../.. pages=$here/prove_gpu.py
fi
cd "$root" || exit 1
bin=${bin:-$PWD/bin}
for needed in $program $tests kernel_timings; do
  [ -x "$bin/$needed" ] || fail "there is no program $bin/$needed"
done
mkdir -p "$output" || exit 1
# Of an earlier run nothing may look like this one's.
rm -rf "$output"/*.json "$output"/*.log "$output"/*.csv "$output"/page.md "$output"/sweep-* "$output"/bench-*

began=$(date +%s)
failed=0

# note PART STATE SECONDS LIMIT WHAT: as JSON. WHAT is a command or a reason; it has no control characters.
note() {
  local what=${5//\\/\\\\}
  printf '{"part": "%s", "state": "%s", "seconds": %s, "limit": %s, "what": "%s"}\n' \
    "$1" "$2" "$3" "$4" "${what//\"/\\\"}" >"$output/$1.json.new"
  mv "$output/$1.json.new" "$output/$1.json"
}

page() {
  command -v python3 >/dev/null || return 0
  python3 "$pages" page "$output" || failed=1
}

left_out() {
  note "$1" "left out" 0 0 "$2"
  printf '%-10s left out: %s\n' "$1" "$2"
}

# run_part PART LIMIT COMMAND...: under a time limit, which what is left of all time shortens.
run_part() {
  local part=$1 limit=$(($2 * ${slack:-1})) start status state left
  shift 2
  left=$((began + seconds - $(date +%s)))
  if [ "$left" -lt 5 ]; then
    left_out "$part" "the $seconds s were over"
    return
  fi
  [ "$limit" -le "$left" ] || limit=$left
  note "$part" "cut off" 0 "$limit" "$*" # unless it ends
  start=$(date +%s)
  # A program that does not end when it is asked to gets 5 s more.
  timeout --kill-after=5 "$limit" "$@" >"$output/$part.log" 2>&1 </dev/null
  status=$?
  case $status in
    0) state=passed ;;
    124 | 137) state="out of time" ;;
    *) state="failed" ;;
  esac
  [ "$state" = passed ] || failed=1
  note "$part" "$state" $(($(date +%s) - start)) "$limit" "$*"
  printf '%-10s %s after %s s\n' "$part" "$state" $(($(date +%s) - start))
  page
}

describe_device() {
  if [ "$device" = emulated ]; then
    echo "name: the emulated device"
    return
  fi
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit,compute_cap \
    --format=csv || return
  nvidia-smi
}

# The same tokens on the device and on the CPU, whatever was measured beside them.
sweep_both() {
  local on
  for on in cpu "$device"; do
    "$bin/$program" sweep configs/tiny-sweep.yaml --device "$on" --output "$output/sweep-$on" "$@" || return
  done
  python3 "$pages" same-tokens "$output/sweep-cpu/records.jsonl" "$output/sweep-$device/records.jsonl"
}

# How much of a decode step no kernel runs in, from a trace of some steps.
trace_gaps() {
  # Kernels within graphs, too.
  nsys profile --trace=cuda --cuda-graph-trace=node --sample=none --cpuctxsw=none --force-overwrite=true \
    --output="$output/gaps" "$bin/$program" bench configs/bench/prove-gpu.yaml --device "$device" --set lengths=1024+33 \
    --set strategies=full --runs 1 --json "$output/gaps.bench.json" || return
  nsys stats --report cuda_gpu_trace --format csv --output "$output/gaps" "$output/gaps.nsys-rep" || return
  python3 "$pages" gaps "$output/gaps_cuda_gpu_trace.csv" >"$output/gaps.share.json"
}

export -f describe_device sweep_both trace_gaps
export device bin program output pages

# bench PART SHAPE LABEL BATCH LIMIT [OPTION ...]
bench() {
  local lengths=1024+512 shape=$2 more=("${@:6}")
  if [ -n "$quick" ]; then
    shape=tiny lengths=16+3
    more+=(--set warmup=0)
  fi
  run_part "$1" "$5" "$bin/$program" bench configs/bench/prove-gpu.yaml --device "$device" \
    --set "models={shape: $shape, label: $3, dtype: bf16}" --set "batch=$4" --set "lengths=$lengths" "${more[@]}" \
    --output "$output/bench-$1"
}

# Which tests of kernels run under compute-sanitizer, which makes them many times slower: some of each kernel and dtype.
sanitized='CudaKernels.*:Slots.*:Sizes/ColumnSums.*/4:Sizes/DecodeKernel.*:Dtypes/ChunkKernelCases.*:Kinds/SlotHistory.*'

sanitize() {
  local sanitizer
  if [ "$device" = emulated ]; then
    left_out "$1" "compute-sanitizer knows no emulated device"
    return
  fi
  for sanitizer in compute-sanitizer /usr/local/cuda/bin/compute-sanitizer; do
    if command -v "$sanitizer" >/dev/null; then
      run_part "$1" 45 "$sanitizer" --tool "$1" --error-exitcode 9 "$bin/$tests" --gtest_brief=1 \
        --gtest_filter="$sanitized"
      return
    fi
  done
  left_out "$1" "there is no compute-sanitizer"
}

run() {
  local part=$1 batch=${1##*-} filter
  case $part in
    device) run_part "$part" 15 bash -c describe_device ;;
    tests)
      filter='-Families/*'
      # One of each kernel; all of them run as tests of the emulated device anyway.
      [ -z "$quick" ] || filter='CudaKernels.MergedEntriesAreTheCpusToTheLastBit:Slots.*'
      run_part "$part" 100 "$bin/$tests" "--gtest_filter=$filter" "--gtest_output=json:$output/$part.tests.json"
      ;;
    families)
      filter='Families/*'
      [ -z "$quick" ] || filter='Families/*/llava_fp32:Families/*/qwen2_5_vl_bf16:Families/*/llama3_fp16'
      run_part "$part" 80 "$bin/$tests" "--gtest_filter=$filter" "--gtest_output=json:$output/$part.tests.json"
      ;;
    sweep)
      local more=
      [ -z "$quick" ] || more="--limit 1 --set strategies=full,elastic --set budgets.keep=0.2"
      [ -z "$quick" ] || more+=" --set generation.max_new_tokens=4"
      run_part "$part" 60 bash -c "sweep_both $more"
      ;;
    kernels) run_part "$part" 60 "$bin/kernel_timings" ${quick:+--quick} ;;
    7b-*) bench "$part" llava-1.5-7b llava-1.5-7b "$batch" 60 ;;
    direct-*) bench "$part" llava-1.5-7b llava-1.5-7b-direct "$batch" 60 --no-graphs ;;
    gaps)
      if [ -n "$quick" ]; then
        left_out "$part" "there are no gaps on the emulated device"
      elif command -v nsys >/dev/null; then
        run_part "$part" 60 bash -c trace_gaps
      else
        left_out "$part" "there is no nsys"
      fi
      ;;
    memcheck | racecheck | initcheck) sanitize "$part" ;;
    13b-*) bench "$part" llava-1.5-13b llava-1.5-13b "$batch" 60 ;;
    # Its decoder has the sizes of Qwen2-VL's.
    qwen-*) bench "$part" qwen2-vl-7b qwen2.5-vl-7b "$batch" 60 ;;
  esac
}

# Shortened, one batch of each shape stands for the others.
[ -z "$quick" ] || parts=$(printf '%s\n' $parts | grep -v -- '-\(8\|48\)$\|^\(13b\|qwen\)-1$' | sed 's/-16$/-2/')
for part in $parts; do run "$part"; done
page
[ -e "$output/page.md" ] && echo "$output/page.md"
exit $failed
