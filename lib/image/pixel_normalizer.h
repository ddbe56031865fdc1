#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include <ATen/core/Tensor.h>

#include "base/json_fields.h"
#include "image/image.h"
#include "image/pixel_backend.h"

namespace elastikv {

/// How levels become pixel values: the rescale and normalize steps of transformers' image
/// processors. The defaults are CLIP's.
struct NormalizationConfig {
  /// do_rescale, rescale_factor, do_normalize, image_mean, image_std of a
  /// preprocessor_config.json; a missing or null key keeps what `otherwise` says. Error naming file
  /// and key.
  static NormalizationConfig from_fields(const JsonFields& fields, NormalizationConfig otherwise);

  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool do_normalize = true;
  std::array<double, 3> image_mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> image_std{0.26862954, 0.26130258, 0.27577711};
  /// Whose roundings. Not of the file.
  PixelBackend backend = PixelBackend::kPil;

  /// " rescale=... mean=... std=...", and " pixels=torchvision" for that backend: part of a
  /// processor's identity. `mean_matters`: the mean is read for something else too.
  std::string identity(bool mean_matters = false) const;
};

/// Turns 8-bit levels into pixel values with the same roundings as transformers' backend.
class PixelNormalizer final {
 public:
  explicit PixelNormalizer(const NormalizationConfig& config);

  /// f32 [views, 3, height, width] of images of one size.
  at::Tensor pixels(std::span<const Image> views) const;

 private:
  /// `[3][256]`: the value of each level of each channel.
  std::array<std::array<float, 256>, 3> values_{};
};

}  // namespace elastikv
