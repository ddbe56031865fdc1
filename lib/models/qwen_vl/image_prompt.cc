#include "models/qwen_vl/image_prompt.h"

#include <string>

#include <fmt/format.h>

namespace elastikv {
namespace {

/// Qwen-VL-Chat, whose tokenizer gives every image as many ids. Published code writes the
/// image's path there, which no model sees.
class QwenVlImagePrompt final : public ImagePrompt {
 public:
  explicit QwenVlImagePrompt(const QwenVlConfig& config) : config_(config) {}

  int64_t features(const ImageGeometry&) const override { return config_.vision.queries; }
  int64_t patches(const ImageGeometry&) const override {
    return config_.vision.patches_per_side() * config_.vision.patches_per_side();
  }
  /// What a resampler gives lies nowhere in the image.
  ImageSize grid(const ImageGeometry&) const override { return {}; }

 protected:
  ImageText write(const ImageGeometry&) const override { return ImageText::one_run(kTokens); }
  std::string processor_keys() const override { return "fixed by Qwen-VL's tokenizer"; }
  std::string config_keys() const override {
    return fmt::format("config.json: visual.n_queries {}", config_.vision.queries);
  }

 private:
  static constexpr int64_t kTokens = 256;

  QwenVlConfig config_;
};

}  // namespace

std::unique_ptr<ImagePrompt> make_image_prompt(const QwenVlConfig& config) {
  return std::make_unique<QwenVlImagePrompt>(config);
}

}  // namespace elastikv
