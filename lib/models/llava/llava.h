#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/clip_vision.h"
#include "models/llama/llama.h"
#include "models/llava/config.h"
#include "models/model.h"

namespace elastikv {

/// LLaVA-1.5, LLaVA-NeXT and LLaVA-OneVision: features of some layers of a vision tower through a
/// two-layer projector into a decoder of LLaMA's structure (transformers'
/// LlavaForConditionalGeneration, LlavaNextForConditionalGeneration,
/// LlavaOnevisionForConditionalGeneration).
class Llava final : public Model {
 public:
  Llava(const LlavaConfig& config, const WeightReader& weights);

  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return config_.image_token; }
  at::Tensor encode_image(const ProcessedImage& image, const Observer* observer) const override;

 private:
  at::Tensor encode_view(const at::Tensor& pixels, const Observer* observer) const;

  LlavaConfig config_;
  ClipVisionTower tower_;
  Linear projector_in_;
  Linear projector_out_;
  at::Tensor newline_;  // [hidden]; NeXT and OneVision
  Llama language_;
};

/// The grid of features that an image's tiles leave, NeXT and OneVision.
struct TileFeatures {
  int64_t rows = 0;  ///< of the tiles' features together
  int64_t columns = 0;
  /// Of these, what is not padding.
  int64_t top = 0;
  int64_t left = 0;
  int64_t kept_rows = 0;
  int64_t kept_columns = 0;
  /// What they are scaled to: the same, or less where OneVision's tiles are too many.
  int64_t scaled_rows = 0;
  int64_t scaled_columns = 0;

  /// A newline ends each row.
  int64_t tokens() const { return scaled_rows * (scaled_columns + 1); }
};

/// `side`: features along a tile's side.
TileFeatures tile_features(const LlavaConfig& config, const ImageGeometry& geometry, int64_t side);

}  // namespace elastikv
