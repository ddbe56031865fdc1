#!/usr/bin/env bash
# Unpacks dist/elastikv-VERSION-PROFILE-linux-x86_64.tar.zst (PROFILE: cpu) into a root that has a shell, glibc,
# libstdc++ and LibTorch, and nothing else. Runs it there: a sweep of a tiny checkpoint, whose results have to be those
# of this build's own program, and tests. Says so where it cannot make such a root.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
profile=${1:-cpu}
case $profile in
  cpu) build=build/release torch=$cache/libtorch-2.11.0-cpu/torch ;;
  cuda) build=build/cuda torch=$cache/libtorch-2.11.0-cuda/torch ;;
  *)
    echo "error: unknown profile '$profile' (cuda, cpu)" >&2
    exit 1
    ;;
esac
torch=$(realpath "$torch")
# With /proc, from which the dynamic loader knows where a program lies.
enter=("$(command -v unshare)" --mount --pid --fork --mount-proc)
[ "$(id -u)" -eq 0 ] || enter+=(--map-root-user)
if ! "${enter[@]}" true 2>/dev/null; then
  echo "LEFT OUT: a root of its own needs namespaces, which this machine does not let $(id -un) make"
  exit 0
fi
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:[A-Z]*=//p' $build/CMakeCache.txt)
name=elastikv-$version-$profile-linux-x86_64

# On the disk of the build, which mostly is LibTorch's, too: then its files are linked instead of copied.
root=$(mktemp -d "$PWD/dist/root.XXXXXX")
trap 'rm -rf "$root"' EXIT
# put FILE...: to the same places in the root.
put() {
  local file
  for file; do
    mkdir -p "$root$(dirname "$file")"
    cp --link --dereference "$file" "$root$file" 2>/dev/null || cp --dereference "$file" "$root$file"
  done
}
mkdir -p "$root"/{proc,tmp,opt,usr/bin,usr/lib,usr/lib64}
ln -s usr/bin usr/lib usr/lib64 "$root"
files=(/bin/sh "$torch/lib/libtorch_cpu.so")
[ "$profile" = cpu ] || files+=("$torch/lib/libtorch_cuda.so")
mapfile -t libraries < <(ldd "${files[@]}" | sed -n 's/^.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p' | sort -u)
put "${files[@]}" "$torch/version.py" "${libraries[@]}"
tar --extract --zstd --file "dist/$name.tar.zst" --directory "$root/opt"
echo "in the root: $(find "$root" -path "$root/opt" -prune -o -type f -printf '%f ')"

# run COMMAND: a line of shell, in the folder.
run() {
  env -i ELASTIKV_TORCH="$torch" OMP_NUM_THREADS=1 "${enter[@]}" --root "$root" /bin/sh -c "cd /opt/$name && $1"
}
run "bin/elastikv sweep configs/tiny-sweep.yaml --output results/tiny"
run "bin/elastikv report results/tiny >/tmp/report 2>&1"
$build/bin/elastikv sweep configs/tiny-sweep.yaml --output "$root/tmp/own" >"$root/tmp/report" 2>&1
$build/bin/elastikv report "$root/tmp/own" >"$root/tmp/report" 2>&1
diff "$root/opt/$name/results/tiny/cells.csv" "$root/tmp/own/cells.csv"
echo "the sweep's results are those of $build/bin/elastikv"
# Whatever reads an image, for the stand-ins in lib; one test of every family; what takes seconds is left out.
run "bin/image_test --gtest_brief=1 --gtest_filter='-TileProcessor.*:TorchvisionPixels.*:SmartResizeProcessor.*'"
run "bin/parity_test --gtest_brief=1 --gtest_filter='Families/FamilyParity.GreedyTokens/*'"
run "bin/cache_test --gtest_brief=1"
run "bin/kernels_test --gtest_brief=1 --gtest_filter='-Sizes/*'"
