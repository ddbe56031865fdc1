#!/usr/bin/env bash
# Installs the wheel of dist into a fresh environment beside set-up's LibTorch, and tests it there: as another user where this one is
# root, with a home of its own, nothing of this tree in its reach but copies that it cannot write to. Its sweep's results have to be
# those of the release build.
#
#   scripts/wheel_test.sh           with the system's python3
#   scripts/wheel_test.sh PYTHON    with another one, such as python3.12: it has to be in that user's reach
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
python=${1:-/usr/bin/python3}
libtorch=$cache/libtorch-2.11.0-cpu
wheel=$(find dist -name 'elastikv-*.whl')
if [ -z "$wheel" ]; then
  echo "error: no wheel in dist; scripts/wheel.sh makes it" >&2
  exit 1
fi

# On LibTorch's disk, where its files are linked instead of copied, unless no other user gets there.
work=$(mktemp -d "${TMPDIR:-/tmp}/elastikv-wheel.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
copy() { cp -R --link "$1" "$2" 2>/dev/null || { rm -rf "${2:?}/${1##*/}" && cp -R "$1" "$2"; }; }

"$python" -m venv "$work/venv"
packages=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
# What pip would install for torch==2.11.*, as far as the CPU needs it; the rest is CUDA's, gigabytes that nothing here loads.
for part in torch torch-2.11.0.dist-info nvidia; do
  copy "$libtorch/$part" "$packages"
done
"$work/venv/bin/pip" install -q --no-deps "$wheel"
"$work/venv/bin/pip" install -q --no-index --find-links "$cache/wheel-tools/wheels" pandas ||
  echo "LEFT OUT: no pandas for this Python in $cache/wheel-tools/wheels, so tables are not tested"

mkdir -p "$work/tree/tests/parity/data/families" "$work/tree/configs" "$work/home"
cp -R tests/parity/data/families/{llava,pictures} "$work/tree/tests/parity/data/families"
cp -R tests/fixtures tests/python "$work/tree/tests"
cp tests/unit/datasets/data/parquet/vqav2.parquet "$work/tree"
cp configs/tiny-sweep.yaml "$work/tree/configs"
build/release/bin/elastikv sweep configs/tiny-sweep.yaml --output "$work/expected" >"$work/log" 2>&1
chmod -R a+rX,go-w "$work/tree" "$work/expected" "$work/venv"

as_user=(env)
if [ "$(id -u)" -eq 0 ]; then
  # A number that nobody has.
  as_user=(setpriv --reuid=64999 --regid=64999 --clear-groups)
  chown 64999:64999 "$work/home"
fi
# tested NAME...: those tests of tests/python.
tested() {
  (cd "$work/tree" && "${as_user[@]}" env -i HOME="$work/home" PATH="$work/venv/bin:/usr/bin:/bin" LANG=C.UTF-8 OMP_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 EXPECTED="$work/expected" python -m unittest "$@")
}
tested discover -s tests/python -p '*_test.py'
copy "$cache/arrow-26.0.1/pyarrow" "$packages"
tested tests/python/wheel_test.py -k Parquet

began=$(date +%s%N)
for _ in 1 2 3 4 5; do "$work/venv/bin/elastikv" --version >/dev/null; done
echo "elastikv --version: $((($(date +%s%N) - began) / 5000000)) ms; $("$work/venv/bin/python" --version)"
