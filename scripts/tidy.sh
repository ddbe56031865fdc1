#!/usr/bin/env bash
# clang-tidy with the repository's checks. Needs set-up, no build.
#   scripts/tidy.sh           sources changed since the previous commit
#   scripts/tidy.sh REV       sources changed since REV
#   scripts/tidy.sh --all     every source (about 20 minutes on 2 cores)
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-HEAD~1}
if [ "$base" = --all ]; then
  mapfile -t files < <(git ls-files 'lib/*.cc' 'apps/*.cpp')
else
  mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- 'lib/*.cc' 'apps/*.cpp')
fi
[ ${#files[@]} -eq 0 ] && exit 0

# The release build compiles several sources at a time; this one, which is never built, says how each would be by itself.
cmake --preset release -B build/tidy -DCMAKE_UNITY_BUILD=OFF >/dev/null

check() {
  local output status=0
  output=$(clang-tidy -p build/tidy --quiet "$1" 2>/dev/null) || status=$?
  [ $status -eq 0 ] || printf '%s: clang-tidy failed\n%s\n' "$1" "$output"
  return $status
}
export -f check
printf '%s\0' "${files[@]}" | xargs -0 -n1 -P"${ELASTIKV_JOBS:-2}" bash -c 'check "$0"'
