#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/json_fields.h"
#include "image/image_processor.h"
#include "text/prompt_tokens.h"

namespace elastikv {

/// How a family of models writes images into prompts. Two sides have a say, as in transformers:
/// the processor's files say how many placeholders an image gets, config.json how many features
/// the vision tower makes of it; a checkpoint whose sides disagree is refused.
class ImagePrompt {
 public:
  virtual ~ImagePrompt() = default;

  /// What stands in the prompt for an image. Error naming both numbers, the image's size and the
  /// keys behind them when the vision tower makes another number of features.
  ImageText text(const ImageGeometry& geometry) const;

  /// The number of features that the vision tower makes of an image.
  virtual int64_t features(const ImageGeometry& geometry) const = 0;
  /// The number of patches that the vision tower computes for them.
  virtual int64_t patches(const ImageGeometry& geometry) const = 0;
  /// Rows and columns when an image's placeholders lie on it as one grid, in that order; else 0.
  virtual ImageSize grid(const ImageGeometry& geometry) const = 0;
  /// Whether the tokens of an image are rotated along several axes (Model::rotary_positions).
  virtual bool has_axes() const { return false; }

 protected:
  virtual ImageText write(const ImageGeometry& geometry) const = 0;
  /// The keys that decide, with their values: "processor_config.json: patch_size 14".
  virtual std::string processor_keys() const = 0;
  virtual std::string config_keys() const = 0;
};

/// processor_config.json of a checkpoint folder, or no fields without one.
JsonFields read_processor_config(const std::filesystem::path& folder);

/// Error for a view of another size than the tower's, which takes one alone (`image_size` is the
/// side of its square).
void require_view(const ImageGeometry& geometry, int64_t image_size);

}  // namespace elastikv
