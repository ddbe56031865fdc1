// The input is a preprocessor_config.json. What is read processes a small image, where that stays
// small.

#include "image/image_processor.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_fields.h"
#include "fuzz/support/contract.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Larger views are legal, and only cost time here.
  constexpr int64_t kMostPixels = 1 << 16;
  fuzz::accepted([&] {
    nlohmann::json json = parse_json(fuzz::text_of(data, size), "p.json");
    if (!json.is_object()) return;
    const auto processor = make_image_processor(JsonFields(std::move(json), "p.json"));
    fuzz::require(!processor->identity().empty(), "a processor has an identity");
    for (const ImageSize given :
         {ImageSize{7, 13}, ImageSize{640, 480}, ImageSize{1, 300}, ImageSize{kMaxImageSide, 8}}) {
      fuzz::accepted([&] {
        const ImageGeometry geometry = processor->geometry(given);
        fuzz::require(geometry.image == given && geometry.view.height > 0 &&
                          geometry.view.width > 0 && geometry.views() > 0,
                      "an image becomes a view or several");
        if (given.pixels() > 100 || geometry.view.height > kMostPixels ||
            geometry.view.width > kMostPixels || geometry.views() > kMostPixels ||
            geometry.view.pixels() > kMostPixels / geometry.views()) {
          return;
        }
        const ProcessedImage image = processor->process(Image(given));
        fuzz::require(image.geometry == geometry, "process() has the geometry that is promised");
      });
    }
  });
  return 0;
}
