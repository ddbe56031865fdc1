// The input is a picture file.

#include "image/picture.h"

#include "base/error.h"
#include "fuzz/support/contract.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Larger claims are legal, and only cost time here.
  constexpr int64_t kMostPixels = 1 << 18;
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::accepted([&] {
    const PictureSize claimed = check_picture_bytes(bytes, "p");
    fuzz::require(claimed.height > 0 && claimed.width > 0, "a picture has pixels");
    if (claimed.pixels() > kMostPixels) return;
    const Picture picture = decode_picture(bytes, "p");
    fuzz::require(picture.size == claimed, "a picture is as large as its header says");
    fuzz::require(picture.pixels.size() == static_cast<size_t>(claimed.pixels() * 3),
                  "a picture has all of its pixels");
  });
  return 0;
}
