#include "image/tile_processor.h"

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

TileProcessorConfig config_of(Json object) {
  if (!object.contains("image_processor_type")) {
    object["image_processor_type"] = "Idefics3ImageProcessor";
  }
  return TileProcessorConfig::from_fields(JsonFields(std::move(object), "c.json"));
}

TEST(TileProcessor, EqualsIdefics3OfTransformersBitForBit) {
  expect_pixels_of_transformers("Idefics3ImageProcessor");
}

TEST(TileProcessor, EqualsSmolvlmOfTransformersBitForBit) {
  expect_pixels_of_transformers("SmolVLMImageProcessor");
}

TEST(TileProcessor, GeometryIsThatOfTransformers) {
  expect_geometry_of_transformers("Idefics3ImageProcessor");
  expect_geometry_of_transformers("SmolVLMImageProcessor");
}

TEST(TileProcessor, GridsOfSmolvlm) {
  const TileProcessor processor(
      config_of({{"size", {{"longest_edge", 2048}}}, {"max_image_size", {{"longest_edge", 512}}}}));
  ImageGeometry expected;
  expected.image = {480, 640};
  expected.view = {512, 512};
  expected.tile_rows = 3;
  expected.tile_columns = 4;
  EXPECT_EQ(processor.geometry({480, 640}), expected);
  EXPECT_EQ(processor.geometry({480, 640}).views(), 13);
  EXPECT_EQ(processor.geometry({3, 3}).views(), 17);   // the longer side grows to 2048, too
  EXPECT_EQ(processor.geometry({1, 500}).views(), 5);  // 1 x 4 tiles
  EXPECT_EQ(processor.geometry({500, 1}).tile_rows, 4);
}

TEST(TileProcessor, TheWholeImageIsTheLastView) {
  // Two tiles, one black and one white, so that the whole is both.
  Image image({4, 8});
  for (int64_t y = 0; y < 4; ++y) std::fill_n(image.row(y) + 12, 12, uint8_t{255});
  const TileProcessor processor(config_of({{"do_resize", false},
                                           {"max_image_size", {{"longest_edge", 4}}},
                                           {"resample", 4},
                                           {"do_normalize", false}}));
  const at::Tensor pixels = processor.process(image).pixels;
  ASSERT_EQ(pixels.sizes().vec(), (std::vector<int64_t>{3, 3, 4, 4}));
  const auto* values = pixels.const_data_ptr<float>();
  const auto corners = [&](int64_t view) {
    return std::pair{values[view * 48], values[view * 48 + 47]};
  };
  EXPECT_EQ(corners(0), (std::pair{0.0F, 0.0F}));
  EXPECT_EQ(corners(1), (std::pair{1.0F, 1.0F}));
  EXPECT_EQ(corners(2), (std::pair{0.0F, 1.0F}));
}

TEST(TileProcessor, ALineIsOneTileWide) {
  // transformers computes a width of no pixels here, and fails.
  const TileProcessor processor(
      config_of({{"do_resize", false}, {"max_image_size", {{"longest_edge", 49}}}}));
  EXPECT_EQ(processor.process(pattern({49, 1})).pixels.sizes().vec(),
            (std::vector<int64_t>{1, 3, 49, 49}));
}

TEST(TileProcessor, IdentityNamesEveryParameter) {
  EXPECT_EQ(TileProcessor(config_of(Json::object())).identity(),
            "tiles tile=364 splitting=true longest_edge=1456 resample=lanczos "
            "rescale=0.00392156862745098 mean=0.5,0.5,0.5 std=0.5,0.5,0.5");
  EXPECT_EQ(TileProcessor(config_of({{"image_processor_type", "SmolVLMImageProcessorFast"},
                                     {"size", {{"height", 10}, {"width", 20}}},
                                     {"max_image_size", {{"longest_edge", 5}}},
                                     {"do_image_splitting", false},
                                     {"do_rescale", false},
                                     {"do_normalize", false},
                                     {"resample", 3}}))
                .identity(),
            "tiles tile=5 splitting=false size=10x20 resample=bicubic");
  EXPECT_EQ(TileProcessor(
                config_of({{"do_resize", false}, {"do_rescale", false}, {"do_normalize", false}}))
                .identity(),
            "tiles tile=364 splitting=true resample=lanczos");
}

TEST(TileProcessor, WrongValuesNameTheirKey) {
  EXPECT_ERROR(
      config_of({{"image_processor_type", "Idefics2ImageProcessor"}}),
      "c.json: key 'image_processor_type' is 'Idefics2ImageProcessor', which is not "
      "supported; supported: Idefics3ImageProcessor, SmolVLMImageProcessor, also with Fast "
      "or Pil at the end");
  EXPECT_ERROR(config_of({{"size", {{"shortest_edge", 336}}}}),
               "c.json: key 'size' is {\"shortest_edge\":336}; {\"longest_edge\": n} or "
               "{\"height\": h, \"width\": w} is needed");
  EXPECT_ERROR(config_of({{"size", 336}}),
               "c.json: key 'size' is 336; {\"longest_edge\": n} or {\"height\": h, \"width\": w} "
               "is needed");
  EXPECT_ERROR(config_of({{"size", {{"longest_edge", 0}}}}),
               "c.json: key 'size' has the side 0, an integer from 1 to 32768 is needed");
  EXPECT_ERROR(config_of({{"max_image_size", {{"height", 5}, {"width", 5}}}}),
               "c.json: key 'max_image_size' is {\"height\":5,\"width\":5}; {\"longest_edge\": n} "
               "is needed");
  EXPECT_ERROR(config_of({{"max_image_size", {{"longest_edge", 1.5}}}}),
               "c.json: key 'max_image_size' has the side 1.5, an integer from 1 to 32768 is "
               "needed");
  EXPECT_ERROR(config_of({{"do_image_splitting", 1}}),
               "c.json: key 'do_image_splitting' is 1, true or false is needed");
}

TEST(TileProcessor, ImagesOnTheWayStayWithinTheLimit) {
  const TileProcessor tiles(
      config_of({{"do_resize", false}, {"max_image_size", {{"longest_edge", 20000}}}}));
  EXPECT_ERROR(tiles.geometry({1, 1}),
               "an image of 1 x 1 pixels (width x height) resized to whole tiles would be 20000 x "
               "20000; at most 268435456 pixels in all are made");
  const TileProcessor resized(config_of({{"size", {{"height", 30000}, {"width", 30000}}}}));
  EXPECT_ERROR(resized.geometry({1, 1}),
               "an image of 1 x 1 pixels (width x height) resized would be 30000 x 30000; at most "
               "268435456 pixels in all are made");
}

TEST(TileProcessor, TilesHaveALimit) {
  const TileProcessor processor(config_of({{"max_image_size", {{"longest_edge", 1}}}}));
  EXPECT_ERROR(processor.geometry({100, 200}),
               "an image of 200 x 100 pixels (width x height) would be cut into more than 10000 "
               "tiles of 1");
}

}  // namespace
}  // namespace elastikv
