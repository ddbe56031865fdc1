#!/usr/bin/env bash
# The tests under clang's sanitizers, with what each part took. What is built with them is the program, the tests named here
# and the fuzz targets; LibTorch and the system's libraries are as they come.
#
#   scripts/sanitize.sh            all of these
#   scripts/sanitize.sh address    address, undefined behaviour and leaks: unit, golden and fuzz tests, the fuzz targets'
#                                  corpora, and a short sweep of the default model
#   scripts/sanitize.sh fuzz       the fuzz targets for ELASTIKV_FUZZ_SECONDS (5) seconds each
#   scripts/sanitize.sh threads    data races between four threads: what calls at::parallel_for or is used by several threads
set -euo pipefail
cd "$(dirname "$0")/.."
source_folder=$PWD
scripts/setup.sh dev
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
export UBSAN_OPTIONS=print_stacktrace=1

# timed NAME COMMAND...: says what it took; its output is shown when it fails.
timed() {
  local name=$1 begin=$SECONDS log
  shift
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log"
    echo "FAILED under the sanitizers: $name"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  printf '%5d s  %s\n' $((SECONDS - begin)) "$name"
}
export -f timed

# address_tests PROGRAM...: of one thread each, as many at once as there are cores. The first that fails ends it. xargs then
# says 124, which is what timeout says of a command that it had to stop.
address_tests() {
  printf '%s\n' "$@" |
    OMP_NUM_THREADS=1 xargs -P "$(nproc)" -I{} bash -c \
      "timed 'address: {}' build/sanitize/bin/{} --gtest_brief=1 --gtest_filter='-$minutes_long' || exit 255" || return 1
}
# What takes minutes under the sanitizers, and has neighbours that do the same at smaller sizes.
minutes_long='Sizes/ColumnSums.EqualTheWholeMatrix/14:Splits/LongColumnSums.EqualTheWholeMatrix/2'
minutes_long+=':TileProcessor.EqualsIdefics3OfTransformersBitForBit'

# What of the emulated device's tests takes a minute. Its kernels' threads switch stacks, which the checks of a stack that is
# used after its function's return do not follow, and death tests hang here. ComputeAsTheCpuDoes stops at the
# tuple that topk returns, where valgrind finds nothing in the same test: not understood yet.
emulated_tests() {
  export ASAN_OPTIONS=$ASAN_OPTIONS:detect_stack_use_after_return=0 OMP_NUM_THREADS=1
  timed "address: emulated_device_test" build/sanitize/bin/emulated_device_test --gtest_brief=1 \
    --gtest_filter='-*DeathTest*:*ComputeAsTheCpuDoes'
  timed "address: emulated_models_test" build/sanitize/bin/emulated_models_test --gtest_brief=1 \
    --gtest_filter='EmulatedDecodeStep*:EmulatedLittleMemory*:PlannedMemory*'
}

short_sweep() {
  local folder status=0
  folder=$(mktemp -d)
  "$1/bin/elastikv" sweep tests/sanitizers/short_sweep.yaml --output "$folder/sweep" &&
    "$1/bin/elastikv" report "$folder/sweep" || status=$?
  rm -rf "$folder"
  return $status
}

assemble() { "$cache/tools/bin/python" scripts/stampvlm/assemble.py; }

check_address() {
  # Tests ask for more memory than there is, and what they test is told so.
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
  export LSAN_OPTIONS=suppressions=$source_folder/tests/sanitizers/leaks.supp:print_suppressions=0
  timed "address: build" scripts/build.sh sanitize --target unit_tests golden_tests fuzz_tests fuzz_targets elastikv \
    emulated_device_test emulated_models_test
  # shellcheck disable=SC2046  # names without blanks, apart
  address_tests $(cat build/sanitize/{unit,golden,fuzz}_tests.txt)
  (emulated_tests)
  timed "address: corpora" ctest --test-dir build/sanitize -R '^Fuzz\.' -j "$(nproc)" --output-on-failure --no-tests=error
  assemble
  timed "address: short sweep" short_sweep build/sanitize
}

check_fuzz() {
  scripts/fuzz.sh --seconds "${ELASTIKV_FUZZ_SECONDS:-5}" --jobs "$(nproc)"
}

check_threads() {
  # libarcher tells the sanitizer what OpenMP's own synchronisation is; LibTorch is not instrumented, so that only our own
  # reads and writes are compared.
  export OMP_TOOL_LIBRARIES=/usr/lib/llvm-14/lib/libarcher.so OMP_NUM_THREADS=4 ELASTIKV_TEST_THREADS=4
  export TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1:allocator_may_return_null=1:suppressions=$source_folder/tests/sanitizers/threads.supp
  local program programs=(kernels_test metrics_test strategies_test sweep_test text_test runtime_test)
  timed "threads: build" scripts/build.sh threads --target "${programs[@]}" elastikv
  for program in "${programs[@]}"; do
    timed "threads: $program" build/threads/bin/"$program" --gtest_brief=1
  done
  assemble
  timed "threads: short sweep" short_sweep build/threads
}

case ${1:-all} in
  all)
    check_address
    check_fuzz
    check_threads
    ;;
  address | fuzz | threads) "check_$1" ;;
  *)
    echo "error: unknown part '$1' (address, fuzz, threads)" >&2
    exit 1
    ;;
esac
