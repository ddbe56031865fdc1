#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/llama/llama.h"
#include "models/model.h"
#include "models/qwen2_vl/config.h"

namespace elastikv {

/// The vision transformer of Qwen2-VL and Qwen2.5-VL: patches in squares of merge_size x
/// merge_size, rotary positions by row and column, no limit to an image's size (transformers'
/// Qwen2VisionTransformerPretrainedModel, Qwen2_5_VisionTransformerPretrainedModel).
class Qwen2VlTower {
 public:
  /// `out`: the decoder's hidden size.
  Qwen2VlTower(const Qwen2VlConfig::Vision& config, const WeightReader& weights, int64_t out);

  /// pixels: [3, height, width], sides multiples of patch_size * merge_size -> [squares, out], row
  /// by row.
  at::Tensor features(const at::Tensor& pixels, const Observer* observer) const;

 private:
  /// An RMS norm or a layer norm, whichever the model has.
  struct Norm {
    RmsNorm rms;
    LayerNorm layer;
    bool is_rms = false;
    at::Tensor operator()(const at::Tensor& x) const { return is_rms ? rms(x) : layer(x); }
  };
  struct Block {
    Norm norm1;
    Norm norm2;
    Linear qkv;
    Linear out;
    Linear up;  // Qwen2.5-VL: gate and up
    Linear down;
  };
  /// The order in which squares are computed, so that windows are runs, and where each window ends.
  struct Windows {
    std::vector<int64_t> order;  // [squares]
    std::vector<int64_t> ends;   // in squares, ascending
  };

  Norm take_norm(const WeightReader& weights, std::string_view name) const;
  bool windowed() const { return config_.window_size > 0; }
  Windows windows(int64_t rows, int64_t columns) const;
  at::Tensor attention(const Block& block, const at::Tensor& x, const RotaryTable::Angles& angles,
                       const std::vector<int64_t>& ends) const;
  at::Tensor mlp(const Block& block, const at::Tensor& x) const;

  Qwen2VlConfig::Vision config_;
  at::Tensor patch_embedding_;  // [hidden, channels * patch * patch], frames added up
  std::vector<Block> blocks_;
  Norm merger_norm_;
  Linear merger_in_;
  Linear merger_out_;
};

/// Qwen2-VL and Qwen2.5-VL (transformers' Qwen2VLForConditionalGeneration and
/// Qwen2_5_VLForConditionalGeneration) for still images.
class Qwen2Vl final : public Model {
 public:
  Qwen2Vl(const Qwen2VlConfig& config, const WeightReader& weights);

  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return config_.image_token; }
  at::Tensor encode_image(const ProcessedImage& image, const Observer* observer) const override;
  /// mRoPE: text has the same position in all three axes (time, row, column); an image's tokens
  /// count rows and columns from where the text before it ended, and text goes on behind the longer
  /// side.
  at::Tensor rotary_positions(int64_t tokens,
                              const std::vector<PlacedImage>& images) const override;

 private:
  Qwen2VlConfig config_;
  Qwen2VlTower tower_;
  Llama language_;
};

}  // namespace elastikv
