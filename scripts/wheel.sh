#!/usr/bin/env bash
# Makes the wheel of the Python package elastikv (docs/install.md): dist/elastikv-VERSION-cp310-abi3-manylinux_2_34_x86_64.whl
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
most_bytes=$((60 * 1024 * 1024))

scripts/setup.sh wheel
tools=$cache/wheel-tools/bin
built=build/wheel/dist
rm -rf "$built" dist/elastikv-*.whl
mkdir -p build
# In the environment that set-up made for it; one of build's own would be downloaded every time. The compilers are called as those
# of the presets, not as Python was compiled: the compiler cache tells them apart by their names.
CC=cc CXX=c++ PATH=$tools:$PATH "$tools/python" -m build --wheel --no-isolation --outdir "$built" \
  -Ccmake.define.ELASTIKV_OPENCV_DIR="$(echo "$cache"/opencv-*)" >build/wheel.log 2>&1 || {
  tail -60 build/wheel.log >&2
  exit 1
}

# The system's libraries that go into the wheel, mended for older systems, found before the system's own.
scripts/wheel/libraries.py "$built"/elastikv-*.whl build/wheel/libraries
outside=()
for library in libtorch_cpu.so libc10.so libgomp.so.1 libarrow.so.2600 libparquet.so.2600; do
  outside+=(--exclude "$library")
done
LD_LIBRARY_PATH=$PWD/build/wheel/libraries PATH=$tools:$PATH "$tools/auditwheel" repair --plat manylinux_2_34_x86_64 \
  "${outside[@]}" --wheel-dir dist "$built"/elastikv-*.whl >build/wheel.log 2>&1 || {
  cat build/wheel.log >&2
  exit 1
}
wheel=$(echo dist/elastikv-*.whl)
bytes=$(stat -c %s "$wheel")
echo "$wheel: $((bytes / 1000000)) MB"
if [ "$bytes" -gt $most_bytes ]; then
  echo "error: that is more than $((most_bytes / 1024 / 1024)) MiB" >&2
  exit 1
fi
