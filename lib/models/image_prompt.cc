#include "models/image_prompt.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "image/processor_fields.h"
#include "models/llava.h"

namespace elastikv {
namespace {

int64_t square_root(int64_t x) {
  const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(x))));
  return root * root == x ? root : 0;
}

/// A tower of a fixed size takes views of that size.
void require_view(const ImageGeometry& geometry, int64_t image_size) {
  if (geometry.view == PictureSize{image_size, image_size}) return;
  fail(
      "the image processor makes views of {} x {} pixels (width x height; "
      "preprocessor_config.json: size, crop_size), the vision tower takes {} x {} (config.json: "
      "vision_config.image_size)",
      geometry.view.width, geometry.view.height, image_size, image_size);
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
  PictureSize grid(const ImageGeometry&) const override {
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
  PictureSize grid(const ImageGeometry& geometry) const override {
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
  PictureSize grid(const ImageGeometry& geometry) const override {
    return squares(geometry, config_.vision.patch_size * config_.vision.merge_size);
  }

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
  static PictureSize squares(const ImageGeometry& geometry, int64_t side) {
    return {geometry.view.height / side, geometry.view.width / side};
  }

  Qwen2VlConfig config_;
  int64_t patch_size_;
  int64_t merge_size_;
};

/// Qwen-VL-Chat, whose tokenizer gives every picture as many ids. Published code writes the
/// picture's path there, which no model sees.
class QwenVlImagePrompt final : public ImagePrompt {
 public:
  explicit QwenVlImagePrompt(const QwenVlConfig& config) : config_(config) {}

  int64_t features(const ImageGeometry&) const override { return config_.vision.queries; }
  int64_t patches(const ImageGeometry&) const override {
    return config_.vision.patches_per_side() * config_.vision.patches_per_side();
  }
  /// What a resampler gives lies nowhere in the picture.
  PictureSize grid(const ImageGeometry&) const override { return {}; }

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

ImageText ImagePrompt::text(const ImageGeometry& geometry) const {
  ImageText text = write(geometry);
  const int64_t made = features(geometry);
  if (text.placeholders() != made) {
    fail(
        "a picture of {} x {} pixels (width x height) gets {} image tokens in the prompt ({}), but "
        "the vision tower makes {} features of it ({})",
        geometry.picture.width, geometry.picture.height, text.placeholders(), processor_keys(),
        made, config_keys());
  }
  return text;
}

JsonFields read_processor_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "processor_config.json";
  if (!folder.empty() && path_exists(file)) return JsonFields::read(file);
  return {nlohmann::json::object(), file.string()};
}

std::unique_ptr<ImagePrompt> make_image_prompt(const LlavaConfig& config,
                                               const JsonFields& processor) {
  return std::make_unique<LlavaImagePrompt>(config, processor);
}

std::unique_ptr<ImagePrompt> make_image_prompt(const Idefics3Config& config,
                                               const JsonFields& processor) {
  return std::make_unique<Idefics3ImagePrompt>(config, processor);
}

std::unique_ptr<ImagePrompt> make_image_prompt(const Qwen2VlConfig& config,
                                               const std::filesystem::path& folder) {
  return std::make_unique<Qwen2VlImagePrompt>(config, read_image_processor_fields(folder));
}

std::unique_ptr<ImagePrompt> make_image_prompt(const QwenVlConfig& config) {
  return std::make_unique<QwenVlImagePrompt>(config);
}

}  // namespace elastikv
