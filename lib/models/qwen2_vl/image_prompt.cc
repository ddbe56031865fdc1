#include "models/qwen2_vl/image_prompt.h"

#include <string>

#include <fmt/format.h>

#include "base/json_fields.h"
#include "image/processor_fields.h"

namespace elastikv {
namespace {

class Qwen2VlImagePrompt final : public ImagePrompt {
 public:
  Qwen2VlImagePrompt(const Qwen2VlConfig& config, const JsonFields& processor)
      : config_(config),
        patch_size_(read_positive(processor, "patch_size", 14)),
        merge_size_(read_positive(processor, "merge_size", 2)) {}

  int64_t features(const ImageGeometry& geometry) const override {
    return squares(geometry, config_.vision.patch_size * config_.vision.merge_size).pixels();
  }
  int64_t patches(const ImageGeometry& geometry) const override {
    return squares(geometry, config_.vision.patch_size).pixels();
  }
  ImageSize grid(const ImageGeometry& geometry) const override {
    return squares(geometry, config_.vision.patch_size * config_.vision.merge_size);
  }
  bool has_axes() const override { return true; }

 protected:
  ImageText write(const ImageGeometry& geometry) const override {
    return ImageText::one_run(squares(geometry, patch_size_ * merge_size_).pixels());
  }
  std::string processor_keys() const override {
    return fmt::format("preprocessor_config.json: patch_size {}, merge_size {}", patch_size_,
                       merge_size_);
  }
  std::string config_keys() const override {
    return fmt::format(
        "config.json: vision_config.patch_size {}, vision_config.spatial_merge_size {}",
        config_.vision.patch_size, config_.vision.merge_size);
  }

 private:
  static ImageSize squares(const ImageGeometry& geometry, int64_t side) {
    return {geometry.view.height / side, geometry.view.width / side};
  }

  Qwen2VlConfig config_;
  int64_t patch_size_;
  int64_t merge_size_;
};

}  // namespace

std::unique_ptr<ImagePrompt> make_image_prompt(const Qwen2VlConfig& config,
                                               const std::filesystem::path& folder) {
  return std::make_unique<Qwen2VlImagePrompt>(config, read_image_processor_fields(folder));
}

}  // namespace elastikv
