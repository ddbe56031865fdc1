#!/usr/bin/env bash
# Builds the OpenCV that the wheel has inside: core, imgproc and imgcodecs with libjpeg-turbo, libpng, libwebp and zlib, static,
# from the sources that opencv-python-headless has on PyPI. Debian's would bring GDAL and a hundred further libraries.
# Called by scripts/setup.sh, which knows the version:
#
#   scripts/wheel/opencv.sh VERSION SHA256 PYTHON FOLDER     installs it into FOLDER, downloading with PYTHON
set -euo pipefail
version=$1 hash=$2 python=$3 folder=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

archive=opencv_python_headless-$version.tar.gz
# Of the file's page alone: pip would run the archive's own build to learn what it depends on.
"$python" - "$archive" "$hash" "$work/$archive" <<'PYTHON'
import hashlib, re, sys, urllib.request
name, expected, target = sys.argv[1:]
page = urllib.request.urlopen("https://pypi.org/simple/opencv-python-headless/").read().decode()
link = re.search(rf'href="(https://[^"#]*/{re.escape(name)})', page)
if not link:
    sys.exit(f"error: PyPI has no {name}")
data = urllib.request.urlopen(link[1]).read()
if hashlib.sha256(data).hexdigest() != expected:
    sys.exit(f"error: {link[1]} is not the file that was expected: its SHA-256 is {hashlib.sha256(data).hexdigest()}")
open(target, "wb").write(data)
PYTHON
tar --extract --file "$work/$archive" --directory "$work" --strip-components=1 --wildcards '*/opencv/*' \
  --exclude='*/opencv/samples' --exclude='*/opencv/doc/*_tutorials' --exclude='*/opencv/doc/tutorials'
sources=$work/opencv

# An animated PNG is read as its still image, as Debian's OpenCV reads it; this one would compose its first frame.
sed -i 's/if (id == id_acTL)/if (false \&\& id == id_acTL)/' "$sources/modules/imgcodecs/src/grfmt_png.cpp"
grep -q 'false && id == id_acTL' "$sources/modules/imgcodecs/src/grfmt_png.cpp"

off=()
for option in TIFF OPENJPEG JASPER OPENEXR IMGCODEC_HDR IMGCODEC_SUNRASTER IMGCODEC_PXM IMGCODEC_PFM IMGCODEC_GIF AVIF JPEGXL GDAL \
  GDCM IPP ITT OPENCL LAPACK EIGEN PROTOBUF FLATBUFFERS QUIRC ADE TBB OPENMP PTHREADS_PF VA VA_INTEL CUDA OBSENSOR KLEIDICV UNIFONT; do
  off+=("-DWITH_$option=OFF")
done
for option in SHARED_LIBS TESTS PERF_TESTS EXAMPLES DOCS JAVA opencv_apps opencv_python2 opencv_python3; do
  off+=("-DBUILD_$option=OFF")
done
# Pixels come from libjpeg, libpng and libwebp, which keep their optimization; what is left to OpenCV's own C++ is copying.
cmake -S "$sources" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$work/installed" \
  -DBUILD_LIST=core,imgproc,imgcodecs "${off[@]}" -DBUILD_ZLIB=ON -DBUILD_PNG=ON -DBUILD_JPEG=ON -DBUILD_WEBP=ON \
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_C_FLAGS='-fvisibility=hidden -ffunction-sections -fdata-sections' \
  -DCMAKE_CXX_FLAGS='-fvisibility=hidden -ffunction-sections -fdata-sections' -DCMAKE_CXX_FLAGS_RELEASE='-O1 -DNDEBUG' \
  -DCV_DISABLE_OPTIMIZATION=ON -DCV_TRACE=OFF -DENABLE_PRECOMPILED_HEADERS=OFF -DOPENCV_GENERATE_PKGCONFIG=OFF \
  -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
nice cmake --build "$work/build" --target install >"$work/log" 2>&1 || { tail -40 "$work/log" >&2; exit 1; }

# The libjpeg that it decodes with is ours, too (lib/image/cmyk_jpeg.cc).
mkdir "$work/installed/include/libjpeg"
cp "$sources"/3rdparty/libjpeg-turbo/src/{jpeglib,jmorecfg,jerror}.h "$work/installed/include/libjpeg"
cp "$(find "$work/build/3rdparty/libjpeg-turbo" -name jconfig.h)" "$work/installed/include/libjpeg"
mkdir "$work/installed/licences"
cp "$sources/LICENSE" "$work/installed/licences/OpenCV.txt"
for library in libjpeg-turbo:LICENSE.md libpng:LICENSE libwebp:COPYING zlib:LICENSE; do
  cp "$sources/3rdparty/${library%%:*}/${library##*:}" "$work/installed/licences/${library%%:*}.txt"
done
rm -rf "$folder"
mkdir -p "$folder"
cp -R "$work/installed/." "$folder"
