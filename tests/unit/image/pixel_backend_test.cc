// torchvision's pixels, held to transformers' processors with torchvision; written by
// tests/parity/make_torchvision_golden.py.
#include "image/pixel_backend.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/image.h"
#include "image/image_processor.h"
#include "support/crc32.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "unit/image/golden.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

const ImageChoice kTorchvisionPixels{std::nullopt, PixelBackend::kTorchvision};

std::unique_ptr<ImageProcessor> processor_of(const Json& config) {
  return make_image_processor(JsonFields(config, "c.json"), kTorchvisionPixels);
}

TEST(TorchvisionPixels, AreThoseOfTransformers) {
  const Json made = Json::parse(read_file(source_path("tests/golden/torchvision/golden.json")));
  size_t seen = 0;
  for (const Json& expected : made["cases"]) {
    if (expected.contains("refused")) continue;  // as with Pillow, which other tests show
    SCOPED_TRACE(expected.dump());
    const auto processor = processor_of(made["processors"][expected["processor"].get<size_t>()]);
    const Image image = expected.contains("file")
                            ? read_image(golden_image(expected["file"]))
                            : pattern({expected["pattern"][0].get<int64_t>(),
                                       expected["pattern"][1].get<int64_t>()});
    const at::Tensor pixels = processor->process(image).pixels;
    const auto shape = expected["shape"].get<std::vector<int64_t>>();
    ASSERT_EQ(pixels.sizes().vec(), shape);
    const auto* values = pixels.const_data_ptr<float>();
    EXPECT_EQ(crc32(values, static_cast<size_t>(pixels.numel()) * sizeof(float)),
              expected["pixels_crc"]);
    for (int64_t channel = 0; channel < 3; ++channel)
      EXPECT_EQ(values[channel * shape[2] * shape[3]], expected["first"][channel].get<float>());
    ++seen;
  }
  EXPECT_GE(seen, 400U);
}

TEST(TorchvisionPixels, ArePartOfTheIdentityAndPillowsAreNot) {
  for (const char* type : {"CLIPImageProcessor", "LlavaImageProcessor", "Qwen2VLImageProcessor",
                           "LlavaOnevisionImageProcessor"}) {
    const Json config{{"image_processor_type", type}};
    const std::string pil = make_image_processor(JsonFields(config, "c.json"))->identity();
    EXPECT_EQ(pil.find(" pixels="), std::string::npos) << pil;
    EXPECT_EQ(processor_of(config)->identity(), pil + " pixels=torchvision");
    EXPECT_EQ(shown_image_processing(pil), pil + " pixels=pil");
    EXPECT_EQ(shown_image_processing(pil + " pixels=torchvision"), pil + " pixels=torchvision");
  }
}

TEST(TorchvisionPixels, AreRefusedWhereTheyCannotBeHad) {
  const auto config = [](const char* type, int filter) {
    return Json{{"image_processor_type", type}, {"resample", filter}};
  };
  for (const char* type : {"CLIPImageProcessor", "Qwen2VLImageProcessor", "SmolVLMImageProcessor",
                           "LlavaOnevisionImageProcessor"}) {
    EXPECT_ERROR(processor_of(config(type, 1)),
                 "c.json: pixels 'torchvision' cannot be had of a checkpoint that resizes by "
                 "Lanczos's filter: torchvision has it from 0.27 on, and before that transformers "
                 "takes another filter; leave it out");
  }
  EXPECT_ERROR(processor_of(config("CLIPImageProcessor", 4)),
               "c.json: pixels 'torchvision' cannot be had of a checkpoint that resizes by the box "
               "filter, which torchvision has not; leave it out");
  EXPECT_ERROR(processor_of(config("Idefics3ImageProcessor", 3)),
               "c.json: pixels 'torchvision' cannot be had of Idefics3ImageProcessor, which cuts "
               "and pads otherwise there; leave it out");
  EXPECT_ERROR(torchvision_resize(pattern({480, 640}), {1, 1}, ResampleFilter::kBicubic),
               "an image of 640 x 480 pixels (width x height) would become 1 x 1 pixel, on which "
               "torchvision's resizing fails; take pixels 'pil'");
  EXPECT_ERROR(parse_pixel_backend("torchvison"),
               "unknown pixels 'torchvison'; did you mean 'torchvision'?");
}

}  // namespace
}  // namespace elastikv
