#include "models/clip_vision.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include "kernels/attention.h"

namespace elastikv {

ClipVisionTower::ClipVisionTower(const ClipVisionConfig& config, const WeightReader& weights,
                                 int64_t deepest)
    : config_(config) {
  const int64_t hidden = config.hidden_size;
  const WeightReader embeddings = weights.scope("embeddings.");
  class_embedding_ = embeddings.take("class_embedding", {hidden});
  patch_embedding_ = embeddings.take(
      "patch_embedding.weight", {hidden, config.channels, config.patch_size, config.patch_size});
  position_embedding_ =
      embeddings.take("position_embedding.weight", {1 + config.patches(), hidden});
  // transformers spells it without the second 'e'.
  pre_norm_ = LayerNorm(weights, "pre_layrnorm", hidden, config.layer_norm_eps);
  weights.ignore("post_layernorm.*");
  for (int64_t i = 0; i < config.layers; ++i) {
    if (i >= deepest) {
      weights.ignore(fmt::format("encoder.layers.{}.*", i));
      continue;
    }
    const WeightReader w = weights.scope(fmt::format("encoder.layers.{}.", i));
    Block block;
    block.norm1 = LayerNorm(w, "layer_norm1", hidden, config.layer_norm_eps);
    block.norm2 = LayerNorm(w, "layer_norm2", hidden, config.layer_norm_eps);
    block.qkv = take_stacked_linear(
        w,
        {{"self_attn.q_proj", hidden}, {"self_attn.k_proj", hidden}, {"self_attn.v_proj", hidden}},
        hidden,
        /*bias=*/true);
    block.out = take_linear(w, "self_attn.out_proj", hidden, hidden, /*bias=*/true);
    block.up = take_linear(w, "mlp.fc1", config.intermediate_size, hidden, /*bias=*/true);
    block.down = take_linear(w, "mlp.fc2", hidden, config.intermediate_size, /*bias=*/true);
    blocks_.push_back(std::move(block));
  }
}

at::Tensor ClipVisionTower::attention(const Block& block, const at::Tensor& x) const {
  const int64_t tokens = x.size(0);
  const int64_t head_dim = config_.hidden_size / config_.heads;
  // [tokens, 3 * hidden] -> [3, heads, tokens, head_dim]
  const at::Tensor qkv =
      block.qkv(x).view({tokens, 3, config_.heads, head_dim}).permute({1, 2, 0, 3});
  const at::Tensor out =
      full_attention(qkv[0], qkv[1], qkv[2], 1.0 / std::sqrt(static_cast<double>(head_dim)));
  return block.out(out.transpose(0, 1).reshape({tokens, config_.hidden_size}));
}

std::vector<at::Tensor> ClipVisionTower::hidden_states(const at::Tensor& pixels,
                                                       const std::vector<int64_t>& layers,
                                                       const Observer* observer) const {
  // A convolution whose stride is its kernel is one product over patches; as such it stays in fp32
  // on a GPU, where convolutions are computed in TF32 unless that is forbidden for the whole
  // process. Pixels beyond the last whole patch are in none.
  const int64_t patch = config_.patch_size;
  const int64_t side = config_.image_size / patch;
  const at::Tensor patches = at::matmul(pixels.to(patch_embedding_.options())
                                            .narrow(1, 0, side * patch)
                                            .narrow(2, 0, side * patch)
                                            .reshape({config_.channels, side, patch, side, patch})
                                            .permute({1, 3, 0, 2, 4})
                                            .reshape({side * side, -1}),
                                        patch_embedding_.flatten(1).transpose(0, 1));
  at::Tensor x = pre_norm_(at::cat({class_embedding_.unsqueeze(0), patches}) + position_embedding_);
  std::vector<at::Tensor> wanted(layers.size());
  const auto hand_out = [&](int64_t index) {
    // Blocks are counted from 0, as transformers counts them; hidden state 0 is their input.
    if (observer != nullptr)
      (*observer)(index == 0 ? "vision.embeddings" : fmt::format("vision.layers.{}", index - 1), x);
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i] == index) wanted[i] = x;
    }
  };
  hand_out(0);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    x = x + attention(block, block.norm1(x));
    x = x + block.down(activate(config_.activation, block.up(block.norm2(x))));
    hand_out(static_cast<int64_t>(i) + 1);
  }
  return wanted;
}

}  // namespace elastikv
