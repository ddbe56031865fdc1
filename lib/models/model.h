#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "image/image_processor.h"
#include "models/language_model.h"
#include "text/prompt_tokens.h"

namespace elastikv {

/// An image of a prompt.
struct PlacedImage {
  TokenSpan span;  ///< from the first of its tokens to the last
  ImageGeometry geometry;
};

/// What a checkpoint is: a decoder, and a vision tower if it has one.
class Model {
 public:
  virtual ~Model() = default;

  virtual const LanguageModel& language() const = 0;
  /// Placeholder token whose embeddings an image replaces; -1 for a model without images.
  virtual int64_t image_token() const = 0;
  /// An image -> what stands in place of its placeholders, in their order: [features, hidden] in
  /// the decoder's embedding space. An observer sees the intermediates of every view.
  virtual at::Tensor encode_image(const ProcessedImage& image,
                                  const Observer* observer = nullptr) const = 0;
  /// What the prompt's queries and keys are rotated by, int64 [axes, tokens]; undefined where that
  /// is the tokens' indices.
  virtual at::Tensor rotary_positions(int64_t tokens,
                                      const std::vector<PlacedImage>& images) const {
    static_cast<void>(tokens);
    static_cast<void>(images);
    return {};
  }
};

}  // namespace elastikv
