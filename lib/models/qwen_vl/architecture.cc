#include "models/qwen_vl/architecture.h"

#include <memory>

#include <fmt/format.h>

#include "base/error.h"
#include "image/clip_processor.h"
#include "models/qwen_vl/config.h"
#include "models/qwen_vl/image_prompt.h"
#include "models/qwen_vl/qwen_vl.h"

namespace elastikv {
namespace {

/// Qwen-VL-Chat, which comes with no file about its image processor: its code does what CLIP's does
/// without the crop.
class QwenVlArchitecture final : public Architecture {
 public:
  using Architecture::Architecture;
  std::unique_ptr<Model> build(const ModelFolder& folder,
                               const WeightReader& weights) const override {
    return std::make_unique<QwenVl>(QwenVlConfig::read(folder.config), weights);
  }
  void summarize(const ModelFolder& folder, ModelSummary& summary) const override {
    const QwenVlConfig c = QwenVlConfig::read(folder.config);
    summary.take_decoder(c.text);
    summary.vision =
        fmt::format("Qwen-VL, {} layers, hidden {}, {} heads, {} px in patches of {}, {} features",
                    c.vision.layers, c.vision.width, c.vision.heads, c.vision.image_size,
                    c.vision.patch_size, c.vision.queries);
    summary.image_token = c.image_token;
    summary.image_size = c.vision.image_size;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const ModelFolder& folder) const override {
    return make_image_prompt(QwenVlConfig::read(folder.config));
  }
  std::unique_ptr<ImageProcessor> image_processor(const ModelFolder& folder,
                                                  const ImageChoice& choice) const override {
    if (choice.pixels != PixelBackend::kPil) {
      fail(
          "{}: pixels '{}' cannot be had of Qwen-VL-Chat, whose own code resizes with Pillow; "
          "leave it out",
          folder.path.string(), pixel_backend_name(choice.pixels));
    }
    const int64_t side = QwenVlConfig::read(folder.config).vision.image_size;
    ClipProcessorConfig processor;
    processor.shortest_edge.reset();
    processor.resize_to = ImageSize{side, side};
    processor.do_center_crop = false;
    processor.aspect_ratio = choice.aspect_ratio.value_or(ImageAspectRatio::kCrop);
    return std::make_unique<ClipProcessor>(processor);
  }
};

}  // namespace

Architectures qwen_vl_architectures() {
  Architectures all;
  all.push_back(std::make_unique<QwenVlArchitecture>("QWenLMHeadModel"));
  return all;
}

}  // namespace elastikv
