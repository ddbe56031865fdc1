#include "models/idefics3/image_prompt.h"

#include <string>

#include <fmt/format.h>

#include "image/processor_fields.h"

namespace elastikv {
namespace {

/// Idefics3 and SmolVLM: every tile is named by its row and column.
class Idefics3ImagePrompt final : public ImagePrompt {
 public:
  Idefics3ImagePrompt(const Idefics3Config& config, const JsonFields& processor)
      : config_(config),
        tokens_of_view_(read_positive(processor, "image_seq_len", kDefaultLength)) {}

  int64_t features(const ImageGeometry& geometry) const override {
    require_view(geometry, config_.vision.image_size);
    return geometry.views() * config_.tokens_per_view();
  }

  int64_t patches(const ImageGeometry& geometry) const override {
    return geometry.views() * config_.vision.patches();
  }
  ImageSize grid(const ImageGeometry& geometry) const override {
    const int64_t side =
        geometry.views() == 1 ? config_.vision.patches_per_side() / config_.scale_factor : 0;
    return {side, side};
  }

 protected:
  ImageText write(const ImageGeometry& geometry) const override {
    ImageText text;
    for (int64_t row = 1; row <= geometry.tile_rows; ++row) {
      for (int64_t column = 1; column <= geometry.tile_columns; ++column) {
        // A row's end stands in front of the next one's first tile.
        const char* line = row > 1 && column == 1 ? "\n" : "";
        text.runs.push_back(
            {fmt::format("{}{}<row_{}_col_{}>", line, kFake, row, column), tokens_of_view_});
      }
    }
    text.runs.push_back(
        {fmt::format("{}{}<global-img>", text.runs.empty() ? "" : "\n\n", kFake), tokens_of_view_});
    text.after = kFake;
    return text;
  }

  std::string processor_keys() const override {
    return fmt::format("processor_config.json: image_seq_len {}", tokens_of_view_);
  }
  std::string config_keys() const override {
    return fmt::format(
        "config.json: vision_config.image_size {}, vision_config.patch_size {}, scale_factor {}",
        config_.vision.image_size, config_.vision.patch_size, config_.scale_factor);
  }

 private:
  static constexpr int64_t kDefaultLength = 169;
  static constexpr const char* kFake = "<fake_token_around_image>";

  Idefics3Config config_;
  int64_t tokens_of_view_;
};

}  // namespace

std::unique_ptr<ImagePrompt> make_image_prompt(const Idefics3Config& config,
                                               const JsonFields& processor) {
  return std::make_unique<Idefics3ImagePrompt>(config, processor);
}

}  // namespace elastikv
