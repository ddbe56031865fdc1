#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "models/language_model.h"

namespace elastikv {

/// What a checkpoint is: a decoder, and a vision tower if it has one.
class Model {
 public:
  virtual ~Model() = default;

  virtual const LanguageModel& language() const = 0;
  /// Placeholder token whose embeddings a picture replaces; -1 for a model without pictures.
  virtual int64_t image_token() const = 0;
  /// Number of placeholder tokens a picture takes.
  virtual int64_t image_tokens() const = 0;
  /// Side of the square picture that encode_image takes, in pixels.
  virtual int64_t image_size() const = 0;
  /// pixels: f32 [3, height, width], normalized -> [image_tokens, hidden] in the decoder's
  /// embedding space.
  virtual at::Tensor encode_image(const at::Tensor& pixels,
                                  const Observer* observer = nullptr) const = 0;
};

}  // namespace elastikv
