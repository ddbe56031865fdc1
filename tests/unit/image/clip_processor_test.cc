#include "image/clip_processor.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"
#include "unit/image/golden.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

ClipProcessorConfig config_of(Json object, std::optional<ImageAspectRatio> ratio = std::nullopt) {
  if (!object.contains("image_processor_type")) {
    object["image_processor_type"] = "CLIPImageProcessor";
  }
  return ClipProcessorConfig::from_fields(JsonFields(std::move(object), "c.json"), ratio);
}

TEST(ClipProcessor, EqualsTransformersBitForBit) {
  ASSERT_GE(golden()["processed"].size(), 150U);
  for (const auto& expected : golden()["processed"]) {
    SCOPED_TRACE(expected.dump());
    const ClipProcessor processor(
        config_of(expected["config"], parse_image_aspect_ratio(std::string(expected["ratio"]))));
    const Image image = read_image(golden_image(expected["file"]));
    const Image levels = processor.crop(image);
    const ImageSize size{expected["shape"][1], expected["shape"][2]};
    EXPECT_EQ(levels.size, size);
    EXPECT_EQ(processor.geometry(image.size).view, size);
    EXPECT_EQ(crc32(levels.pixels.data(), levels.pixels.size()), expected["levels_crc"]);

    const at::Tensor pixels = processor.process(image).pixels[0];
    ASSERT_EQ(pixels.sizes().vec(), expected["shape"].get<std::vector<int64_t>>());
    const auto* values = pixels.const_data_ptr<float>();
    EXPECT_EQ(crc32(values, static_cast<size_t>(pixels.numel()) * sizeof(float)),
              expected["pixels_crc"]);
    for (int64_t channel = 0; channel < 3; ++channel) {
      const int64_t middle =
          (channel * size.height + size.height / 2) * size.width + size.width / 2;
      EXPECT_EQ(values[middle], expected["middle"][channel].get<float>());
    }
  }
}

TEST(ClipProcessor, DefaultsAreThoseOfTheClass) {
  const ClipProcessorConfig config = config_of({{"size", nullptr}, {"resample", nullptr}});
  EXPECT_EQ(ClipProcessor(config).identity(),
            "clip aspect=crop shortest_edge=224 resample=bicubic crop=224x224 "
            "rescale=0.00392156862745098 mean=0.48145466,0.4578275,0.40821073 "
            "std=0.26862954,0.26130258,0.27577711");
}

TEST(ClipProcessor, IdentityNamesEveryParameter) {
  const Json all = {{"size", {{"height", 30}, {"width", 40}}},
                    {"crop_size", {{"height", 20}, {"width", 10}}},
                    {"resample", 1},
                    {"rescale_factor", 0.5},
                    {"image_mean", 0.25},
                    {"image_std", {0.5, 1.0, 2.0}}};
  EXPECT_EQ(ClipProcessor(config_of(all, ImageAspectRatio::kPad)).identity(),
            "clip aspect=pad size=30x40 resample=lanczos crop=20x10 rescale=0.5 "
            "mean=0.25,0.25,0.25 std=0.5,1,2");
  EXPECT_EQ(ClipProcessor(config_of({{"do_resize", false},
                                     {"do_center_crop", false},
                                     {"do_rescale", false},
                                     {"do_normalize", false}}))
                .identity(),
            "clip aspect=crop");
}

TEST(ClipProcessor, PadsWithTheMeanColour) {
  Image white({2, 6});
  std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
  const ClipProcessor processor(
      config_of({{"do_resize", false}, {"crop_size", 6}}, ImageAspectRatio::kPad));
  const Image padded = processor.crop(white);
  ASSERT_EQ(padded.size, (ImageSize{6, 6}));
  const auto colour = [&](int64_t y) { return std::vector<int>(padded.row(y), padded.row(y) + 3); };
  EXPECT_EQ(colour(1), (std::vector<int>{122, 116, 104}));
  EXPECT_EQ(colour(2), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(colour(3), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(colour(4), (std::vector<int>{122, 116, 104}));
}

TEST(ClipProcessor, LlavaProcessorsDoPad) {
  const Json llava = {{"image_processor_type", "LlavaImageProcessorFast"}, {"do_pad", true}};
  EXPECT_EQ(config_of(llava).aspect_ratio, ImageAspectRatio::kPad);
  EXPECT_EQ(config_of(llava, ImageAspectRatio::kCrop).aspect_ratio, ImageAspectRatio::kCrop);
  EXPECT_EQ(config_of({{"image_processor_type", "LlavaImageProcessor"}}).aspect_ratio,
            ImageAspectRatio::kCrop);
  EXPECT_ERROR(config_of({{"do_pad", true}}),
               "c.json: key 'do_pad' is true, which CLIPImageProcessor does not support");
}

TEST(ClipProcessor, ExtremeShapesStaySmallWhereTheyAreCropped) {
  // 224 x 7 340 032 pixels when resized; only the crop is computed.
  const Image line({1, kMaxImageSide});
  EXPECT_EQ(ClipProcessor(config_of(Json::object())).process(line).pixels.sizes().vec(),
            (std::vector<int64_t>{1, 3, 224, 224}));
  EXPECT_ERROR(ClipProcessor(config_of({{"do_center_crop", false}})).process(line),
               "an image of 32768 x 1 pixels (width x height) resized would be 7340032 x 224; at "
               "most 268435456 pixels in all are made");
  EXPECT_ERROR(ClipProcessor(config_of(Json::object(), ImageAspectRatio::kPad)).process(line),
               "an image of 32768 x 1 pixels (width x height) padded to a square would be 32768 x "
               "32768; at most 268435456 pixels in all are made");
}

TEST(ClipProcessor, TypeNames) {
  for (const char* type : {"CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil",
                           "LlavaImageProcessor"}) {
    EXPECT_NO_THROW(config_of({{"image_processor_type", type}}));
  }
  EXPECT_EQ(
      ClipProcessorConfig::from_fields(
          JsonFields({{"feature_extractor_type", "CLIPFeatureExtractor"}, {"size", 336}}, "c.json"))
          .shortest_edge,
      336);
  for (const char* type : {"Qwen2VLImageProcessor", "CLIPImageProcessorFaster"}) {
    EXPECT_ERROR(
        config_of({{"image_processor_type", type}}),
        fmt::format("c.json: key 'image_processor_type' is '{}', which is not supported; "
                    "supported: CLIPImageProcessor, LlavaImageProcessor, also with Fast or Pil at "
                    "the end",
                    type));
  }
  EXPECT_ERROR(ClipProcessorConfig::from_fields(JsonFields(Json::object(), "c.json")),
               "c.json: key 'image_processor_type' is missing (a string is needed)");
}

TEST(ClipProcessor, WrongValuesNameTheirKey) {
  EXPECT_ERROR(config_of({{"size", "large"}}),
               "c.json: key 'size' is \"large\"; n, {\"shortest_edge\": n} or {\"height\": h, "
               "\"width\": w} is needed");
  EXPECT_ERROR(config_of({{"size", {{"shortest_edge", 336}, {"longest_edge", 700}}}}),
               "c.json: key 'size' is {\"longest_edge\":700,\"shortest_edge\":336}; n, "
               "{\"shortest_edge\": n} or {\"height\": h, \"width\": w} is needed");
  EXPECT_ERROR(config_of({{"size", {{"shortest_edge", 0}}}}),
               "c.json: key 'size' has the side 0, an integer from 1 to 32768 is needed");
  EXPECT_ERROR(config_of({{"size", 33.5}}),
               "c.json: key 'size' has the side 33.5, an integer from 1 to 32768 is needed");
  EXPECT_ERROR(config_of({{"crop_size", {{"height", 5}}}}),
               "c.json: key 'crop_size' is {\"height\":5}; n or {\"height\": h, \"width\": w} is "
               "needed");
  EXPECT_ERROR(config_of({{"resample", 0}}),
               "c.json: key 'resample' is 0; 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 "
               "(hamming) is needed");
  EXPECT_ERROR(config_of({{"image_mean", {0.5, 0.5}}}),
               "c.json: key 'image_mean' has 2 numbers, 3 are needed (red, green, blue)");
  EXPECT_ERROR(config_of({{"image_std", {0.5, 0.0, 0.5}}}),
               "c.json: key 'image_std' holds a 0, numbers to divide by are needed");
  EXPECT_ERROR(config_of({{"do_resize", "yes"}}),
               "c.json: key 'do_resize' is \"yes\", true or false is needed");
}

}  // namespace
}  // namespace elastikv
