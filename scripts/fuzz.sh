#!/usr/bin/env bash
# Runs the fuzz targets (tests/fuzz) under the address and undefined-behaviour sanitizers, one after the other, and prints a
# table of what was tried. New inputs are kept in build/sanitize/fuzz/corpus, so that a later run goes on from them; inputs
# that break a promise are left in build/sanitize/fuzz/faults, and the exit code is 1.
#
#   scripts/fuzz.sh                          every target for a minute
#   scripts/fuzz.sh --seconds 1200           every target for 20 minutes: a night on one core
#   scripts/fuzz.sh --seconds 10 zip pickle  these two for 10 seconds each
#   scripts/fuzz.sh --runs 1000000 record    so many inputs instead
#   scripts/fuzz.sh --jobs 2                 two targets at a time
#   scripts/fuzz.sh --built                  does not build first
#   scripts/fuzz.sh --merge                  adds what was found to the shipped corpus: of inputs up to 2 KB those that
#                                            reach something new, the smallest first
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/sanitize
shipped=$PWD/tests/fuzz/corpus
limit=-max_total_time=60
jobs=1
merge=
built=
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) limit=-max_total_time=$2 && shift ;;
    --runs) limit=-runs=$2 && shift ;;
    --jobs) jobs=$2 && shift ;;
    --merge) merge=yes ;;
    --built) built=yes ;;
    -*)
      echo "error: unknown option '$1'" >&2
      exit 1
      ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(basename -s .cc tests/fuzz/targets/*.cc)
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/targets/$target.cc" ] || {
    echo "error: no target '$target'; there are: $(basename -s .cc tests/fuzz/targets/*.cc | xargs)" >&2
    exit 1
  }
done
[ -n "$built" ] || scripts/build.sh sanitize --target "${targets[@]/#/fuzz_}"

mkdir -p $build/fuzz/{corpus,faults,logs,dictionaries}
# Targets that need a folder make it here, in memory where there is such a place; a crash leaves it behind.
TMPDIR=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/elastikv-fuzz-XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
export OMP_NUM_THREADS=1

run() {
  local target=$1 folder=$2/fuzz shipped=$3/$1
  mkdir -p "$folder/corpus/$target"
  # The words of the seeds, which mutations alone would hardly spell.
  cat "$shipped"/seed-* 2>/dev/null | grep -oaE '[A-Za-z_][A-Za-z0-9_.-]{2,30}' | sort -u | head -1000 |
    sed 's/.*/"&"/' >"$folder/dictionaries/$target" || true
  "$2/bin/fuzz_$target" "$4" -timeout=10 -malloc_limit_mb=512 -rss_limit_mb=2560 -max_len=16384 -print_final_stats=1 \
    -dict="$folder/dictionaries/$target" -artifact_prefix="$folder/faults/$target-" "$folder/corpus/$target" "$shipped" \
    >"$folder/logs/$target" 2>&1
}
# A line of the table; fails when the target did.
report() {
  local target=$1 log=$2/fuzz/logs/$1 status=$3 inputs rate coverage corpus verdict="kept"
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -1 | cut -c6-)
  corpus=$(grep -oE 'corp: [0-9]+' "$log" | tail -1 | cut -c7-)
  [ "$status" -eq 0 ] || verdict="BROKEN: $log"
  printf '%-18s %12s %8s %9s %8s  %s\n' "$target" "${inputs:-?}" "${rate:-?}" "${coverage:-?}" "${corpus:-?}" "$verdict"
  # The report, with small inputs in it as base64: a CI machine is gone when somebody looks.
  [ "$status" -eq 0 ] || tail -n 60 "$log"
  return "$status"
}
both() {
  local status=0
  run "$@" || status=$?
  report "$1" "$2" "$status"
}
export -f run report both

if [ -n "$merge" ]; then
  for target in "${targets[@]}"; do
    found=$build/fuzz/corpus/$target
    [ -d "$found" ] || continue
    $build/bin/fuzz_"$target" -merge=1 -max_len=2048 -timeout=10 "$shipped/$target" "$found" >$build/fuzz/logs/"$target"-merge 2>&1
    echo "$target: $(find "$shipped/$target" -type f | wc -l) inputs, $(du -sb "$shipped/$target" | cut -f1) bytes"
  done
  exit 0
fi
printf '%-18s %12s %8s %9s %8s  %s\n' target inputs per_s coverage corpus promises
printf '%s\n' "${targets[@]}" |
  xargs -P"$jobs" -I{} bash -c 'both "$@"' _ {} $build "$shipped" "$limit" || exit 1
