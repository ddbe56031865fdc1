#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/config.h"
#include "models/layers.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// CLIP's vision transformer, up to the hidden states that LLaVA reads (transformers'
/// CLIPVisionModel).
class ClipVisionTower {
 public:
  /// `deepest`: the last hidden state that will be asked for; blocks after it are not loaded.
  ClipVisionTower(const ClipVisionConfig& config, const WeightReader& weights, int64_t deepest);

  /// pixels: [3, image_size, image_size] -> for each of `layers` (0: after pre_layrnorm, n: after
  /// block n) the hidden state [1 + patches, hidden], class token first.
  std::vector<at::Tensor> hidden_states(const at::Tensor& pixels,
                                        const std::vector<int64_t>& layers,
                                        const Observer* observer) const;

 private:
  struct Block {
    LayerNorm norm1;
    LayerNorm norm2;
    Linear qkv;
    Linear out;
    Linear up;
    Linear down;
  };

  at::Tensor attention(const Block& block, const at::Tensor& x) const;

  ClipVisionConfig config_;
  at::Tensor class_embedding_;     // [hidden]
  at::Tensor patch_embedding_;     // [hidden, channels, patch, patch]
  at::Tensor position_embedding_;  // [1 + patches, hidden]
  LayerNorm pre_norm_;
  std::vector<Block> blocks_;
};

}  // namespace elastikv
