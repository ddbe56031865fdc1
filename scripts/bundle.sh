#!/usr/bin/env bash
# Makes a folder that runs on another machine, without root, compiler or packages: docs/bundle.md.
#
#   scripts/bundle.sh          for a GPU: dist/elastikv-VERSION-cuda-linux-x86_64.tar.zst
#   scripts/bundle.sh cpu      without CUDA: dist/elastikv-VERSION-cpu-linux-x86_64.tar.zst
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-cuda}
case $profile in
  cuda) preset=cuda extras="bundle cuda" ;;
  cpu) preset=release extras=bundle ;;
  *)
    echo "error: unknown profile '$profile' (cuda, cpu)" >&2
    exit 1
    ;;
esac
most_bytes=$((60 * 1024 * 1024))

# shellcheck disable=SC2086  # words apart
scripts/setup.sh $extras
scripts/build.sh $preset --target bundle_programs

cached() { sed -n "s/^$1:[A-Z]*=//p" build/$preset/CMakeCache.txt; }
# in_torch NAME: the value of a line "NAME = 'VALUE'" of the LibTorch that was built with.
in_torch() { sed -n "s/^$1\(:.*\)\? = '\(.*\)'$/\2/p" "$(cached ELASTIKV_TORCH_DIR)/version.py"; }
torch=$(in_torch __version__)
cuda=$(in_torch cuda)

name=elastikv-$(cached CMAKE_PROJECT_VERSION)-$profile-linux-x86_64
folder=dist/$name
rm -rf "$folder" "$folder.tar.zst"
mkdir -p "$folder/bin"
cmake --install build/$preset --component bundle --prefix "$PWD/$folder" --strip >/dev/null
for program in "$folder"/libexec/*; do
  install scripts/bundle/launcher "$folder/bin/${program##*/}"
done
echo "$profile $(cut -d. -f1,2 <<<"$torch") ${cuda%%.*}" >"$folder/libexec/built-with"
scripts/bundle/libraries.py "$folder"
if [ "$profile" = cuda ]; then
  install scripts/bundle/prove-gpu.sh "$folder/prove-gpu.sh"
  install scripts/bundle/prove_gpu.py "$folder/libexec/prove_gpu.py"
fi

# What the programs read lies where it lies in the source tree.
for path in LICENSE docs/bundle.md docs/gpu.md configs results/published tests/fixtures/tiny-questions.jsonl \
  tests/golden/image tests/golden/pictures tests/golden/torchvision tests/parity/data; do
  mkdir -p "$folder/$(dirname $path)"
  cp -R $path "$folder/$path"
done
rm "$folder/tests/parity/data/stampvlm.safetensors" # for the default model, which is not in the folder

tar --create --directory dist --sort=name --owner=0 --group=0 --numeric-owner "$name" |
  zstd --quiet -8 --threads=0 -o "$folder.tar.zst"
bytes=$(stat -c %s "$folder.tar.zst")
echo "$folder.tar.zst: $((bytes / 1000000)) MB, unpacked $(($(du -sb "$folder" | cut -f1) / 1000000)) MB"
if [ "$bytes" -gt $most_bytes ]; then
  echo "error: that is more than $((most_bytes / 1024 / 1024)) MiB" >&2
  exit 1
fi
