#include "models/llava/image_prompt.h"

#include <cmath>
#include <string>

#include <fmt/format.h>

#include "image/processor_fields.h"
#include "models/llava/llava.h"

namespace elastikv {
namespace {

int64_t square_root(int64_t x) {
  const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(x))));
  return root * root == x ? root : 0;
}

/// LLaVA-1.5, LLaVA-NeXT and LLaVA-OneVision.
class LlavaImagePrompt final : public ImagePrompt {
 public:
  LlavaImagePrompt(const LlavaConfig& config, const JsonFields& processor)
      : config_(config),
        // Files of older versions leave these out; then config.json speaks for both sides.
        patch_size_(read_positive(processor, "patch_size", config.vision.patch_size)),
        additional_(
            processor.integer("num_additional_image_tokens", config.has_class_token() ? 1 : 0)),
        tokens_of_view_(processor.integer("num_image_tokens", 0)),
        drops_class_token_(processor.string("vision_feature_select_strategy",
                                            config.drop_class_token ? "default" : "full") ==
                           "default") {}

  int64_t features(const ImageGeometry& geometry) const override {
    require_view(geometry, config_.vision.image_size);
    return config_.view_features() + tile_tokens(geometry, config_.vision.patches_per_side());
  }

  int64_t patches(const ImageGeometry& geometry) const override {
    return geometry.views() * config_.vision.patches();
  }
  ImageSize grid(const ImageGeometry&) const override {
    const int64_t side = config_.has_tiles() ? 0 : square_root(config_.view_features());
    return {side, side};
  }

 protected:
  ImageText write(const ImageGeometry& geometry) const override {
    int64_t side = geometry.view.height / patch_size_;
    int64_t tokens = side * (geometry.view.width / patch_size_) + additional_;
    if (config_.family == LlavaConfig::Family::kOnevision) {
      if (tokens_of_view_ > 0) tokens = tokens_of_view_;
      side = static_cast<int64_t>(std::sqrt(static_cast<double>(tokens)));
    }
    return ImageText::one_run(tokens + tile_tokens(geometry, side) - (drops_class_token_ ? 1 : 0));
  }

  std::string processor_keys() const override {
    std::string keys = fmt::format(
        "processor_config.json: patch_size {}, num_additional_image_tokens {}, "
        "vision_feature_select_strategy {}",
        patch_size_, additional_, drops_class_token_ ? "default" : "full");
    if (tokens_of_view_ > 0) keys += fmt::format(", num_image_tokens {}", tokens_of_view_);
    return keys;
  }
  std::string config_keys() const override {
    return fmt::format(
        "config.json: vision_config.image_size {}, vision_config.patch_size {}, "
        "vision_feature_select_strategy {}",
        config_.vision.image_size, config_.vision.patch_size,
        config_.drop_class_token ? "default" : "full");
  }

 private:
  int64_t tile_tokens(const ImageGeometry& geometry, int64_t side) const {
    if (!config_.has_tiles()) return 0;
    return geometry.views() > 1 ? tile_features(config_, geometry, side).tokens() : 1;
  }

  LlavaConfig config_;
  int64_t patch_size_;
  int64_t additional_;
  int64_t tokens_of_view_;
  bool drops_class_token_;
};

}  // namespace

std::unique_ptr<ImagePrompt> make_image_prompt(const LlavaConfig& config,
                                               const JsonFields& processor) {
  return std::make_unique<LlavaImagePrompt>(config, processor);
}

}  // namespace elastikv
