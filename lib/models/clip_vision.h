#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/clip_vision_config.h"
#include "models/layers.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// CLIP's and SigLIP's vision transformer, up to the hidden states that LLaVA and Idefics3 read
/// (transformers' CLIPVisionModel, SiglipVisionModel, Idefics3VisionTransformer).
class ClipVisionTower {
 public:
  enum class LastNorm { kNone, kLoad };

  /// `deepest`: the last hidden state that will be asked for; blocks after it are not loaded.
  ClipVisionTower(const ClipVisionConfig& config, const WeightReader& weights, int64_t deepest,
                  LastNorm last_norm = LastNorm::kNone);

  /// pixels: [3, image_size, image_size] -> for each of `layers` (0: before the first block, n:
  /// after block n) the hidden state [1 + patches, hidden], class token first; SigLIP has none.
  std::vector<at::Tensor> hidden_states(const at::Tensor& pixels,
                                        const std::vector<int64_t>& layers,
                                        const Observer* observer) const;
  /// What the last block gives, normalized, [patches, hidden]. Positions are looked up by where a
  /// patch lies as a fraction of the image, as Idefics3 does. Needs LastNorm::kLoad.
  at::Tensor last_state(const at::Tensor& pixels, const Observer* observer) const;

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
  /// [patches, hidden] of an image's patches, without positions.
  at::Tensor embed_patches(const at::Tensor& pixels) const;
  at::Tensor run(const Block& block, const at::Tensor& x) const;

  ClipVisionConfig config_;
  at::Tensor class_embedding_;     // [hidden]; not SigLIP
  at::Tensor patch_embedding_;     // [hidden, channels, patch, patch]
  at::Tensor patch_bias_;          // [hidden]; SigLIP only
  at::Tensor position_embedding_;  // [1 + patches, hidden], SigLIP: [patches, hidden]
  LayerNorm pre_norm_;             // not SigLIP
  LayerNorm last_norm_;
  std::vector<Block> blocks_;
};

}  // namespace elastikv
