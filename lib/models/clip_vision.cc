#include "models/clip_vision.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include "kernels/attention.h"

namespace elastikv {

ClipVisionTower::ClipVisionTower(const ClipVisionConfig& config, const WeightReader& weights,
                                 int64_t deepest, LastNorm last_norm)
    : config_(config) {
  const int64_t hidden = config.hidden_size;
  const WeightReader embeddings = weights.scope("embeddings.");
  if (!config.siglip) class_embedding_ = embeddings.take("class_embedding", {hidden});
  patch_embedding_ = embeddings.take(
      "patch_embedding.weight", {hidden, config.channels, config.patch_size, config.patch_size});
  if (config.siglip) patch_bias_ = embeddings.take("patch_embedding.bias", {hidden});
  position_embedding_ = embeddings.take("position_embedding.weight",
                                        {config.patches() + (config.siglip ? 0 : 1), hidden});
  // transformers spells it without the second 'e'.
  if (!config.siglip) pre_norm_ = LayerNorm(weights, "pre_layrnorm", hidden, config.layer_norm_eps);
  if (last_norm == LastNorm::kLoad) {
    last_norm_ = LayerNorm(weights, "post_layernorm", hidden, config.layer_norm_eps);
  } else {
    weights.ignore("post_layernorm.*");
  }
  weights.ignore("head.*");  // SigLIP's pooling, which no model here reads
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
      block.qkv.of_prompt(x).view({tokens, 3, config_.heads, head_dim}).permute({1, 2, 0, 3});
  const at::Tensor out =
      full_attention(qkv[0], qkv[1], qkv[2], 1.0 / std::sqrt(static_cast<double>(head_dim)));
  return block.out.of_prompt(out.transpose(0, 1).reshape({tokens, config_.hidden_size}));
}

at::Tensor ClipVisionTower::embed_patches(const at::Tensor& pixels) const {
  const at::Tensor patches = at::matmul(patch_rows(pixels.to(patch_embedding_.options()),
                                                   config_.patch_size, config_.patches_per_side()),
                                        patch_embedding_.flatten(1).transpose(0, 1));
  return patch_bias_.defined() ? patches + patch_bias_ : patches;
}

at::Tensor ClipVisionTower::run(const Block& block, const at::Tensor& x) const {
  const at::Tensor y = x + attention(block, block.norm1(x));
  return y + block.down.of_prompt(activate(config_.activation, block.up.of_prompt(block.norm2(y))));
}

std::vector<at::Tensor> ClipVisionTower::hidden_states(const at::Tensor& pixels,
                                                       const std::vector<int64_t>& layers,
                                                       const Observer* observer) const {
  const at::Tensor patches = embed_patches(pixels);
  at::Tensor x =
      config_.siglip
          ? patches + position_embedding_
          : pre_norm_(at::cat({class_embedding_.unsqueeze(0), patches}) + position_embedding_);
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
    x = run(blocks_[i], x);
    hand_out(static_cast<int64_t>(i) + 1);
  }
  return wanted;
}

at::Tensor ClipVisionTower::last_state(const at::Tensor& pixels, const Observer* observer) const {
  // The fp32 steps of the original: a patch's fraction of the image, found among the borders of
  // the table's cells, is not always its own index.
  const int64_t side = config_.patches_per_side();
  const double step = 1.0 / static_cast<double>(side);
  const at::Tensor borders = at::arange(step, 1.0, step, at::kFloat);
  const at::Tensor fractions =
      (at::arange(side, at::kFloat) * (1.0F / static_cast<float>(side))).clamp_max(1.0 - 1e-6);
  const at::Tensor cells = at::bucketize(fractions, borders, /*out_int32=*/false, /*right=*/true);
  const at::Tensor positions = (cells.unsqueeze(1) * side + cells.unsqueeze(0)).flatten();
  at::Tensor x = embed_patches(pixels) +
                 position_embedding_.index_select(0, positions.to(position_embedding_.device()));
  if (observer != nullptr) (*observer)("vision.embeddings", x);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = run(blocks_[i], x);
    if (observer != nullptr) (*observer)(fmt::format("vision.layers.{}", i), x);
  }
  return last_norm_(x);
}

}  // namespace elastikv
