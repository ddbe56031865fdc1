#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/layers.h"
#include "models/llama/llama.h"
#include "models/model.h"
#include "models/qwen_vl/config.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// The vision transformer of Qwen-VL and the resampler behind it: learned queries attend to an
/// image's patches, so that every image becomes as many features (visual.py of
/// Qwen/Qwen-VL-Chat).
class QwenVlTower {
 public:
  QwenVlTower(const QwenVlConfig::Vision& config, const WeightReader& weights);

  /// pixels: [3, image_size, image_size] -> [queries, out].
  at::Tensor features(const at::Tensor& pixels, const Observer* observer) const;

 private:
  struct Block {
    LayerNorm norm1;
    LayerNorm norm2;
    Linear qkv;  // each head's queries, keys and values follow each other
    Linear out;
    Linear up;
    Linear down;
  };

  void take_resampler(const WeightReader& weights);
  /// [patches, width], positions included, normalized.
  at::Tensor embed_patches(const at::Tensor& pixels) const;
  at::Tensor attention(const Block& block, const at::Tensor& x) const;
  /// [patches, width] -> [queries, out]
  at::Tensor resample(const at::Tensor& x) const;

  QwenVlConfig::Vision config_;
  at::Tensor patch_embedding_;  // [width, 3 * patch * patch]
  at::Tensor positions_;        // [patches, width]
  LayerNorm norm_before_;
  std::vector<Block> blocks_;
  Linear widen_;               // where width and out differ
  LayerNorm pool_norm_;        // of patches
  at::Tensor pool_queries_;    // [out_heads, queries, out / out_heads]: no image changes them
  at::Tensor pool_positions_;  // [patches, out]: of keys
  Linear pool_keys_;
  Linear pool_values_;
  Linear pool_out_;
  LayerNorm norm_after_;
  Linear projection_;
};

/// Qwen-VL-Chat (QWenLMHeadModel with a vision tower).
class QwenVl final : public Model {
 public:
  QwenVl(const QwenVlConfig& config, const WeightReader& weights);

  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return config_.image_token; }
  at::Tensor encode_image(const ProcessedImage& image, const Observer* observer) const override;

 private:
  QwenVlConfig config_;
  QwenVlTower tower_;
  Llama language_;
};

}  // namespace elastikv
