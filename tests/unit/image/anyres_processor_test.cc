#include "image/anyres_processor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"
#include "unit/image/family_golden.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// LLaVA-NeXT's configuration with these keys in place of its own.
AnyresProcessorConfig next_of(const Json& changed) {
  Json object = {{"image_processor_type", "LlavaNextImageProcessor"},
                 {"size", {{"shortest_edge", 336}}},
                 {"crop_size", {{"height", 336}, {"width", 336}}}};
  object.update(changed);
  return AnyresProcessorConfig::from_fields(JsonFields(std::move(object), "c.json"));
}

AnyresProcessorConfig onevision_of(Json object) {
  object["image_processor_type"] = "LlavaOnevisionImageProcessorFast";
  return AnyresProcessorConfig::from_fields(JsonFields(std::move(object), "c.json"));
}

TEST(AnyresProcessor, EqualsLlavaNextOfTransformersBitForBit) {
  expect_pixels_of_transformers("LlavaNextImageProcessor");
}

TEST(AnyresProcessor, EqualsLlavaOnevisionOfTransformersBitForBit) {
  expect_pixels_of_transformers("LlavaOnevisionImageProcessor");
}

TEST(AnyresProcessor, GeometryIsThatOfTransformers) {
  expect_geometry_of_transformers("LlavaNextImageProcessor");
  expect_geometry_of_transformers("LlavaOnevisionImageProcessor");
}

TEST(AnyresProcessor, BestResolutions) {
  const AnyresProcessor next(next_of(Json::object()));
  EXPECT_EQ(next.best_resolution({480, 640}), (ImageSize{672, 672}));
  EXPECT_EQ(next.best_resolution({300, 1000}), (ImageSize{336, 1008}));
  EXPECT_EQ(next.best_resolution({1000, 300}), (ImageSize{1008, 336}));
  // All of a small image is kept by each: the first of the smallest.
  EXPECT_EQ(next.best_resolution({10, 10}), (ImageSize{336, 672}));
  // Nothing of it is kept by any.
  EXPECT_EQ(next.best_resolution({1, 5000}), (ImageSize{336, 672}));
  const AnyresProcessor onevision(onevision_of(Json::object()));
  EXPECT_EQ(onevision.best_resolution({10, 10}), (ImageSize{384, 384}));
  EXPECT_EQ(onevision.best_resolution({4000, 4000}), (ImageSize{2304, 2304}));
  EXPECT_EQ(onevision.geometry({4000, 3000}).views(), 31);
}

TEST(AnyresProcessor, TheWholeImageIsTheFirstViewAndThePaddingIsBlack) {
  Image white({2, 4});
  std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
  const AnyresProcessor processor(
      onevision_of({{"size", 4}, {"image_grid_pinpoints", {{8, 8}}}, {"do_normalize", false}}));
  const Image padded = processor.crop(white);
  ASSERT_EQ(padded.size, (ImageSize{8, 8}));
  for (int64_t y = 0; y < 8; ++y) EXPECT_EQ(*padded.row(y), y < 2 || y >= 6 ? 0 : 255) << y;
  const at::Tensor pixels = processor.process(white).pixels;
  ASSERT_EQ(pixels.sizes().vec(), (std::vector<int64_t>{5, 3, 4, 4}));
  const auto* values = pixels.const_data_ptr<float>();
  const auto corners = [&](int64_t view) {
    return std::pair{values[view * 48], values[view * 48 + 47]};
  };
  EXPECT_EQ(corners(0), (std::pair{1.0F, 1.0F}));
  EXPECT_EQ(corners(1), (std::pair{0.0F, 1.0F}));
  EXPECT_EQ(corners(4), (std::pair{1.0F, 0.0F}));
}

TEST(AnyresProcessor, IdentityNamesEveryParameter) {
  EXPECT_EQ(AnyresProcessor(next_of(Json::object())).identity(),
            "anyres tile=336 pinpoints=336x672,672x336,672x672,1008x336,336x1008 whole=336x336 "
            "resample=bicubic; each view: clip aspect=crop shortest_edge=336 resample=bicubic "
            "crop=336x336 rescale=0.00392156862745098 mean=0.48145466,0.4578275,0.40821073 "
            "std=0.26862954,0.26130258,0.27577711");
  EXPECT_EQ(AnyresProcessor(onevision_of({{"size", {{"height", 4}, {"width", 6}}},
                                          {"image_grid_pinpoints", {{8, 8}}},
                                          {"do_normalize", false},
                                          {"do_rescale", false},
                                          {"resample", 2}}))
                .identity(),
            "anyres tile=4 pinpoints=8x8 whole=4x6 resample=bilinear; each view: clip aspect=crop "
            "size=4x6 resample=bilinear");
}

TEST(AnyresProcessor, WrongValuesNameTheirKey) {
  EXPECT_ERROR(next_of({{"image_processor_type", "LlavaNextVideoImageProcessor"}}),
               "c.json: key 'image_processor_type' is 'LlavaNextVideoImageProcessor', which is not "
               "supported; supported: LlavaNextImageProcessor, LlavaOnevisionImageProcessor, also "
               "with Fast or Pil at the end");
  // LLaVA-NeXT's class defaults do not go together.
  EXPECT_ERROR(next_of({{"size", nullptr}, {"crop_size", nullptr}}),
               "c.json: key 'image_grid_pinpoints' holds [336, 672], which is not made of whole "
               "tiles of 224 pixels (the height of 'crop_size', else of 'size')");
  EXPECT_ERROR(
      next_of({{"image_grid_pinpoints", "(1x1),(6x6)"}}),
      "c.json: key 'image_grid_pinpoints' is \"(1x1),(6x6)\"; a list of [height, width] is "
      "needed");
  EXPECT_ERROR(next_of({{"image_grid_pinpoints", Json::array()}}),
               "c.json: key 'image_grid_pinpoints' is []; a list of [height, width] is needed");
  EXPECT_ERROR(next_of({{"image_grid_pinpoints", {{336, 336}, {336}}}}),
               "c.json: key 'image_grid_pinpoints' is [[336,336],[336]]; a list of [height, width] "
               "is needed");
  EXPECT_ERROR(next_of({{"image_grid_pinpoints", {{336, 0}}}}),
               "c.json: key 'image_grid_pinpoints' has the side 0, an integer from 1 to 32768 is "
               "needed");
  EXPECT_ERROR(next_of({{"image_grid_pinpoints", {{101, 100}}}, {"crop_size", 1}}),
               "c.json: key 'image_grid_pinpoints' holds [101, 100], more than 10000 tiles of 1 "
               "pixels");
  EXPECT_ERROR(next_of({{"image_grid_pinpoints", {{32592, 32592}}}}),
               "c.json: key 'image_grid_pinpoints' holds [32592, 32592]; at most 268435456 pixels "
               "in all are made");
  EXPECT_ERROR(next_of({{"size", 30000}}),
               "c.json: key 'size' makes an image of 30000 x 30000; at most 268435456 pixels in "
               "all are made");
  EXPECT_ERROR(onevision_of({{"do_center_crop", true}}),
               "c.json: key 'crop_size' is missing, and do_center_crop is true");
  EXPECT_ERROR(next_of({{"size", 400}, {"do_resize", false}, {"do_center_crop", false}}),
               "c.json: key 'size' makes a view of 400 x 400 pixels (width x height) beside tiles "
               "of 336 x 336, and do_resize and do_center_crop are false");
  EXPECT_ERROR(next_of({{"size", {{"longest_edge", 5}}}}),
               "c.json: key 'size' is {\"longest_edge\":5}; n, {\"shortest_edge\": n} or "
               "{\"height\": h, \"width\": w} is needed");
}

}  // namespace
}  // namespace elastikv
