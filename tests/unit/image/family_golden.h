#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json_fields.h"
#include "image/image_processor.h"
#include "support/crc32.h"
#include "unit/image/golden.h"

namespace elastikv {

/// The processor of one of golden.json's "processors".
inline std::unique_ptr<ImageProcessor> golden_processor(const nlohmann::json& number) {
  return make_image_processor(JsonFields(golden()["processors"][number.get<size_t>()], "c.json"));
}

/// Whether one of golden.json's "processors" is of this type.
inline bool is_of_type(const nlohmann::json& number, const std::string& type) {
  return golden()["processors"][number.get<size_t>()]["image_processor_type"] == type;
}

/// Compares every view and the whole 8-bit image with what transformers made, for all images of
/// the processors of one type; `refused(kind, image, processor)` is told of images that
/// transformers refuses.
template <typename Refused>
void expect_pixels_of_transformers(const std::string& type, Refused refused) {
  size_t seen = 0;
  for (const auto& expected : golden()["families"]) {
    if (!is_of_type(expected["processor"], type)) continue;
    ++seen;
    SCOPED_TRACE(expected.dump());
    const auto processor = golden_processor(expected["processor"]);
    const Image image = expected.contains("file")
                            ? read_image(golden_image(expected["file"]))
                            : pattern({expected["pattern"][0].get<int64_t>(),
                                       expected["pattern"][1].get<int64_t>()});
    if (expected.contains("refused")) {
      refused(expected["refused"].get<std::string>(), image, *processor);
      continue;
    }
    const auto shape = expected["shape"].get<std::vector<int64_t>>();
    ImageGeometry geometry;
    geometry.image = image.size;
    geometry.view = {shape[2], shape[3]};
    geometry.tile_rows = expected["grid"][0];
    geometry.tile_columns = expected["grid"][1];
    EXPECT_EQ(processor->geometry(image.size), geometry);

    const Image levels = processor->crop(image);
    EXPECT_EQ(levels.size, (ImageSize{expected["levels_shape"][0], expected["levels_shape"][1]}));
    EXPECT_EQ(crc32(levels.pixels.data(), levels.pixels.size()), expected["levels_crc"]);

    const ProcessedImage processed = processor->process(image);
    EXPECT_EQ(processed.geometry, geometry);
    const at::Tensor& pixels = processed.pixels;
    ASSERT_EQ(pixels.sizes().vec(), shape);
    const auto* values = pixels.const_data_ptr<float>();
    EXPECT_EQ(crc32(values, static_cast<size_t>(pixels.numel()) * sizeof(float)),
              expected["pixels_crc"]);
    for (int64_t channel = 0; channel < 3; ++channel) {
      EXPECT_EQ(values[channel * geometry.view.pixels()], expected["first"][channel].get<float>());
    }
  }
  EXPECT_GE(seen, 33U);
}

inline void expect_pixels_of_transformers(const std::string& type) {
  expect_pixels_of_transformers(type,
                                [](const std::string& kind, const Image&, const ImageProcessor&) {
                                  ADD_FAILURE() << "transformers refuses: " << kind;
                                });
}

/// Compares the geometry of images of many sizes.
inline void expect_geometry_of_transformers(const std::string& type) {
  size_t seen = 0;
  for (const auto& expected : golden()["geometries"]) {
    if (!is_of_type(expected["processor"], type)) continue;
    const auto processor = golden_processor(expected["processor"]);
    for (const auto& sizes : expected["pictures"]) {
      ++seen;
      ImageGeometry geometry;
      geometry.image = {sizes[0], sizes[1]};
      geometry.view = {sizes[2], sizes[3]};
      geometry.tile_rows = sizes[4];
      geometry.tile_columns = sizes[5];
      EXPECT_EQ(processor->geometry(geometry.image), geometry)
          << sizes << " of processor " << expected["processor"];
    }
  }
  EXPECT_GE(seen, 40U);
}

}  // namespace elastikv
