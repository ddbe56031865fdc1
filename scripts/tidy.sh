#!/usr/bin/env bash
# clang-tidy with the repository's checks over the files that changed since a commit (default: the last one on main
# before this branch, or everything when there is none). Needs a configured release build.
#   scripts/tidy.sh           files changed since the previous commit
#   scripts/tidy.sh --all     every source file
#   scripts/tidy.sh REV       files changed since REV
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-HEAD~1}
if [ "$base" = --all ] || ! git rev-parse -q --verify "$base" >/dev/null; then
  mapfile -t files < <(git ls-files 'lib/*.cc' 'apps/*.cpp')
else
  mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- 'lib/*.cc' 'apps/*.cpp')
fi
[ ${#files[@]} -eq 0 ] && exit 0
printf '%s\0' "${files[@]}" | xargs -0 -n1 -P2 clang-tidy -p build/release --quiet
