// The input is an image file.

#include "image/image.h"

#include "base/error.h"
#include "fuzz/support/contract.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Larger claims are legal, and only cost time here.
  constexpr int64_t kMostPixels = 1 << 18;
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::accepted([&] {
    const ImageSize claimed = check_image_bytes(bytes, "p");
    fuzz::require(claimed.height > 0 && claimed.width > 0, "an image has pixels");
    if (claimed.pixels() > kMostPixels) return;
    const Image image = decode_image(bytes, "p");
    fuzz::require(image.size == claimed, "an image is as large as its header says");
    fuzz::require(image.pixels.size() == static_cast<size_t>(claimed.pixels() * 3),
                  "an image has all of its pixels");
  });
  return 0;
}
