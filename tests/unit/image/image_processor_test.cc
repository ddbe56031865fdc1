#include "image/image_processor.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/image/golden.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

TEST(ImageProcessor, ReadsACheckpointDirectory) {
  const TemporaryFolder folder;
  const std::string where = folder.path().string();
  EXPECT_ERROR(read_image_processor(folder.path()),
               where +
                   ": no preprocessor_config.json, and no processor_config.json with an "
                   "'image_processor'");
  folder.write("preprocessor_config.json",
               R"({"image_processor_type": "CLIPImageProcessor", "crop_size": 100})");
  folder.write("processor_config.json", R"({"processor_class": "LlavaProcessor"})");
  EXPECT_EQ(read_image_processor(folder.path())->geometry({7, 9}).view, (ImageSize{100, 100}));
  // The nested form that transformers 5 writes goes first.
  folder.write("processor_config.json",
               R"({"image_processor": {"image_processor_type": "CLIPImageProcessorFast",
                   "crop_size": {"height": 50, "width": 60}}})");
  const auto processor = read_image_processor(folder.path(), {ImageAspectRatio::kPad});
  EXPECT_EQ(processor->geometry({7, 9}).view, (ImageSize{50, 60}));
  EXPECT_TRUE(processor->identity().starts_with("clip aspect=pad "));
}

TEST(ImageProcessor, TheTypeChoosesTheClass) {
  const auto family_of = [](Json object) {
    object.update({{"size", {{"height", 24}, {"width", 24}}}, {"crop_size", 24}});
    object["image_grid_pinpoints"] = {{48, 48}};
    if (object.dump().find("Qwen") != std::string::npos) object.erase("size");
    const std::string identity =
        make_image_processor(JsonFields(std::move(object), "c.json"))->identity();
    return identity.substr(0, identity.find(' '));
  };
  const std::vector<std::pair<std::string, std::string>> families = {
      {"CLIPImageProcessor", "clip"},
      {"LlavaImageProcessor", "clip"},
      {"Qwen2VLImageProcessor", "smart_resize"},
      {"Qwen2_5_VLImageProcessor", "smart_resize"},
      {"Idefics3ImageProcessor", "tiles"},
      {"SmolVLMImageProcessor", "tiles"},
      {"LlavaNextImageProcessor", "anyres"},
      {"LlavaOnevisionImageProcessor", "anyres"}};
  for (const auto& [type, family] : families) {
    for (const char* variant : {"", "Fast", "Pil"}) {
      EXPECT_EQ(family_of({{"image_processor_type", type + variant}}), family) << type << variant;
    }
  }
  EXPECT_EQ(family_of({{"feature_extractor_type", "LlavaNextFeatureExtractor"}}), "anyres");
}

TEST(ImageProcessor, ReadsWhatTransformersWrites) {
  const Json& given = golden()["processors"];
  const Json& written = golden()["written"];
  ASSERT_EQ(given.size(), written.size());
  for (size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(make_image_processor(JsonFields(written[i], "written.json"))->identity(),
              make_image_processor(JsonFields(given[i], "given.json"))->identity());
  }
}

TEST(ImageProcessor, OtherTypesAreRefused) {
  const auto make = [](const char* key, const char* type) {
    return make_image_processor(JsonFields({{key, type}}, "c.json"));
  };
  EXPECT_ERROR(make("image_processor_type", "ViTImageProcessor"),
               "c.json: key 'image_processor_type' is 'ViTImageProcessor', which is not supported; "
               "supported: CLIPImageProcessor, LlavaImageProcessor, LlavaNextImageProcessor, "
               "LlavaOnevisionImageProcessor, Qwen2VLImageProcessor, Qwen2_5_VLImageProcessor, "
               "Idefics3ImageProcessor, SmolVLMImageProcessor, also with Fast or Pil at the end");
  EXPECT_ERROR(make("feature_extractor_type", "ViTFeatureExtractor"),
               "c.json: key 'feature_extractor_type' is 'ViTFeatureExtractor', which is not "
               "supported; supported: CLIPImageProcessor, LlavaImageProcessor, "
               "LlavaNextImageProcessor, LlavaOnevisionImageProcessor, Qwen2VLImageProcessor, "
               "Qwen2_5_VLImageProcessor, Idefics3ImageProcessor, SmolVLMImageProcessor, also with "
               "Fast or Pil at the end");
  EXPECT_ERROR(make_image_processor(JsonFields(Json::object(), "c.json")),
               "c.json: key 'image_processor_type' is missing (a string is needed)");
}

TEST(ImageProcessor, OnlyClipTakesAnAspectRatio) {
  const JsonFields qwen({{"image_processor_type", "Qwen2VLImageProcessorFast"}}, "c.json");
  EXPECT_NO_THROW(make_image_processor(qwen));
  EXPECT_ERROR(make_image_processor(qwen, {ImageAspectRatio::kPad}),
               "c.json: image_aspect_ratio 'pad' is given, but a Qwen2VLImageProcessor neither "
               "crops nor pads to a square; leave it out");
  const JsonFields smolvlm({{"image_processor_type", "SmolVLMImageProcessor"}}, "c.json");
  EXPECT_ERROR(make_image_processor(smolvlm, {ImageAspectRatio::kCrop}),
               "c.json: image_aspect_ratio 'crop' is given, but a SmolVLMImageProcessor neither "
               "crops nor pads to a square; leave it out");
}

TEST(ImageProcessor, AspectRatioNames) {
  EXPECT_EQ(parse_image_aspect_ratio("crop"), ImageAspectRatio::kCrop);
  EXPECT_EQ(parse_image_aspect_ratio("pad"), ImageAspectRatio::kPad);
  EXPECT_ERROR(parse_image_aspect_ratio("anyres"),
               "unknown image_aspect_ratio 'anyres'; known: crop, pad");
}

}  // namespace
}  // namespace elastikv
