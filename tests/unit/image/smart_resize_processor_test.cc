#include "image/smart_resize_processor.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"
#include "unit/image/family_golden.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

SmartResizeProcessorConfig config_of(Json object) {
  if (!object.contains("image_processor_type")) {
    object["image_processor_type"] = "Qwen2VLImageProcessor";
  }
  return SmartResizeProcessorConfig::from_fields(JsonFields(std::move(object), "c.json"));
}

ImageSize view_of(const Json& object, ImageSize image) {
  return SmartResizeProcessor(config_of(object)).geometry(image).view;
}

TEST(SmartResizeProcessor, EqualsTransformersBitForBit) {
  int narrow = 0;
  int unaligned = 0;
  expect_pixels_of_transformers(
      "Qwen2VLImageProcessor",
      [&](const std::string& kind, const Image& image, const ImageProcessor& processor) {
        if (kind == "aspect ratio") {
          ++narrow;
          EXPECT_ERROR(processor.process(image),
                       fmt::format("an image of {} x {} pixels (width x height) is too narrow: "
                                   "one side may be at most 200 times the other",
                                   image.size.width, image.size.height));
        } else {
          ++unaligned;
          EXPECT_ERROR(processor.process(image),
                       fmt::format("an image of {} x {} pixels (width x height) cannot be taken "
                                   "as it is (do_resize is false): both sides must be multiples "
                                   "of 10",
                                   image.size.width, image.size.height));
        }
      });
  EXPECT_EQ(narrow, 14);  // 1 x 500 and 500 x 1, of each configuration that resizes
  EXPECT_GE(unaligned, 5);
}

TEST(SmartResizeProcessor, GeometryIsThatOfTransformers) {
  expect_geometry_of_transformers("Qwen2VLImageProcessor");
}

TEST(SmartResizeProcessor, HalvesGoToTheEvenFactor) {
  const Json wide_limits = {{"min_pixels", 1}, {"max_pixels", 100000000}};
  // 1.5, 2.5, 3.5 and 4.5 factors of 28.
  EXPECT_EQ(view_of(wide_limits, {42, 70}), (ImageSize{56, 56}));
  EXPECT_EQ(view_of(wide_limits, {98, 126}), (ImageSize{112, 112}));
}

TEST(SmartResizeProcessor, SidesMayBe200TimesAsLong) {
  EXPECT_EQ(view_of(Json::object(), {1, 200}), (ImageSize{28, 812}));
  EXPECT_ERROR(view_of(Json::object(), {1, 201}),
               "an image of 201 x 1 pixels (width x height) is too narrow: one side may be at most "
               "200 times the other");
  EXPECT_ERROR(view_of(Json::object(), {500, 1}),
               "an image of 1 x 500 pixels (width x height) is too narrow: one side may be at most "
               "200 times the other");
}

TEST(SmartResizeProcessor, LimitsHaveTwoSpellings) {
  const SmartResizeProcessorConfig defaults = config_of(Json::object());
  EXPECT_EQ(defaults.min_pixels, 3136);
  EXPECT_EQ(defaults.max_pixels, 1003520);
  const Json size = {{"shortest_edge", 1000}, {"longest_edge", 2000}};
  EXPECT_EQ(config_of({{"size", size}}).min_pixels, 1000);
  EXPECT_EQ(config_of({{"size", size}}).max_pixels, 2000);
  const SmartResizeProcessorConfig mixed = config_of({{"size", size}, {"max_pixels", 3000}});
  EXPECT_EQ(mixed.min_pixels, 1000);
  EXPECT_EQ(mixed.max_pixels, 3000);
  // As transformers 4.45 to 4.51 wrote it.
  const SmartResizeProcessorConfig both = config_of(
      {{"size", {{"min_pixels", 1}, {"max_pixels", 2}}}, {"min_pixels", 30}, {"max_pixels", 40}});
  EXPECT_EQ(both.min_pixels, 30);
  EXPECT_EQ(both.max_pixels, 40);
}

TEST(SmartResizeProcessor, ReadsEveryKey) {
  const SmartResizeProcessorConfig config =
      config_of({{"image_processor_type", "Qwen2_5_VLImageProcessorFast"},
                 {"patch_size", 16},
                 {"merge_size", 3},
                 {"temporal_patch_size", 1},
                 {"resample", 2},
                 {"size", nullptr},
                 {"image_mean", 0.5},
                 {"image_std", 0.25}});
  EXPECT_EQ(config.patch_size, 16);
  EXPECT_EQ(config.merge_size, 3);
  EXPECT_EQ(config.factor(), 48);
  EXPECT_EQ(config.temporal_patch_size, 1);
  EXPECT_EQ(SmartResizeProcessor(config).identity(),
            "smart_resize factor=48 min_pixels=3136 max_pixels=1003520 resample=bilinear "
            "rescale=0.00392156862745098 mean=0.5,0.5,0.5 std=0.25,0.25,0.25");
  EXPECT_EQ(config_of(Json::object()).temporal_patch_size, 2);
  EXPECT_EQ(SmartResizeProcessor(
                config_of({{"do_resize", false}, {"do_rescale", false}, {"do_normalize", false}}))
                .identity(),
            "smart_resize factor=28");
}

TEST(SmartResizeProcessor, WrongValuesNameTheirKey) {
  EXPECT_ERROR(
      config_of({{"image_processor_type", "CLIPImageProcessor"}}),
      "c.json: key 'image_processor_type' is 'CLIPImageProcessor', which is not supported; "
      "supported: Qwen2VLImageProcessor, Qwen2_5_VLImageProcessor, also with Fast or Pil "
      "at the end");
  EXPECT_ERROR(config_of({{"min_pixels", 0}}),
               "c.json: key 'min_pixels' is 0, at least 1 is needed");
  EXPECT_ERROR(config_of({{"max_pixels", "many"}}),
               "c.json: key 'max_pixels' is \"many\", an integer is needed");
  EXPECT_ERROR(config_of({{"size", 224}}), "c.json: key 'size' is number, an object is needed");
  EXPECT_ERROR(config_of({{"size", {{"shortest_edge", 56}}}}),
               "c.json: key 'size' has no 'longest_edge' and there is no 'max_pixels'; one of them "
               "is needed");
  EXPECT_ERROR(config_of({{"size", {{"shortest_edge", -1}, {"longest_edge", 56}}}}),
               "c.json: key 'size.shortest_edge' is -1, at least 1 is needed");
  EXPECT_ERROR(config_of({{"patch_size", 0}}),
               "c.json: key 'patch_size' is 0, at least 1 is needed");
  EXPECT_ERROR(config_of({{"merge_size", 40000}}),
               "c.json: key 'merge_size' is 40000, at most 32768 is supported");
  EXPECT_ERROR(config_of({{"temporal_patch_size", 0}}),
               "c.json: key 'temporal_patch_size' is 0, at least 1 is needed");
  EXPECT_ERROR(config_of({{"merge_size", 32768}, {"patch_size", 32768}}),
               "c.json: key 'merge_size' is 32768, which with patch_size 32768 makes 1073741824 "
               "pixels; at most 32768 are supported");
  // The sides that follow from it would not fit an integer together.
  EXPECT_ERROR(config_of({{"min_pixels", 9223372036854775807}}),
               "c.json: key 'min_pixels' asks for 9223372036854775807 pixels at least; at most "
               "268435456 are made");
  EXPECT_ERROR(view_of({{"min_pixels", 1000000000000}}, {10, 10}),
               "an image of 10 x 10 pixels (width x height) resized would be 1000020 x 1000020; "
               "at most 268435456 pixels in all are made");
}

}  // namespace
}  // namespace elastikv
