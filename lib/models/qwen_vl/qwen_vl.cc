#include "models/qwen_vl/qwen_vl.h"

#include <cmath>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <fmt/format.h>

#include "base/error.h"
#include "kernels/attention.h"

namespace elastikv {
namespace {

constexpr double kNormEps = 1e-6;  // not in any configuration
/// The tower's own positions are a grid of 16 x 16, whatever the image's size.
constexpr int64_t kPositions = 256;

/// Positions of a square grid, [cells, size] -> [side * side, size]. In fp32 whatever the weights
/// are, as the original does.
at::Tensor resized_positions(const at::Tensor& positions, int64_t side) {
  const auto old_side =
      static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions.size(0)))));
  if (old_side == side) return positions;
  const at::Tensor grid =
      positions.to(at::kFloat).view({1, old_side, old_side, -1}).permute({0, 3, 1, 2});
  return at::upsample_bicubic2d(grid.contiguous(), {side, side}, /*align_corners=*/false)
      .permute({0, 2, 3, 1})
      .reshape({side * side, -1})
      .to(positions.scalar_type());
}

/// [n, heads * head_dim] -> [heads, n, head_dim]
at::Tensor by_head(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), heads, -1}).transpose(0, 1);
}

/// Of the decoder (modeling_qwen.py on the hub).
LlamaNames qwen_names() {
  LlamaNames names;
  names.embedding = "wte";
  names.layers = "h";
  names.attention_norm = "ln_1";
  names.mlp_norm = "ln_2";
  names.qkv = {"attn.c_attn"};
  names.out = "attn.c_proj";
  names.gate = "mlp.w2";
  names.up = "mlp.w1";
  names.down = "mlp.c_proj";
  names.norm = "ln_f";
  return names;
}

double attention_scale(int64_t head_dim) { return 1.0 / std::sqrt(static_cast<double>(head_dim)); }

}  // namespace

QwenVlTower::QwenVlTower(const QwenVlConfig::Vision& config, const WeightReader& weights)
    : config_(config) {
  const int64_t width = config.width;
  const at::Tensor kernel =
      weights.take("conv1.weight", {width, 3, config.patch_size, config.patch_size});
  if (kernel.defined()) patch_embedding_ = kernel.flatten(1);
  const at::Tensor positions = weights.take("positional_embedding", {kPositions, width});
  if (positions.defined()) positions_ = resized_positions(positions, config.patches_per_side());
  norm_before_ = LayerNorm(weights, "ln_pre", width, kNormEps);
  for (int64_t i = 0; i < config.layers; ++i) {
    const WeightReader w = weights.scope(fmt::format("transformer.resblocks.{}.", i));
    Block block;
    block.norm1 = LayerNorm(w, "ln_1", width, kNormEps);
    block.norm2 = LayerNorm(w, "ln_2", width, kNormEps);
    block.qkv = take_linear(w, "attn.in_proj", 3 * width, width, /*bias=*/true);
    block.out = take_linear(w, "attn.out_proj", width, width, /*bias=*/true);
    block.up = take_linear(w, "mlp.c_fc", config.mlp_size, width, /*bias=*/true);
    block.down = take_linear(w, "mlp.c_proj", width, config.mlp_size, /*bias=*/true);
    blocks_.push_back(std::move(block));
  }
  take_resampler(weights.scope("attn_pool."));
  norm_after_ = LayerNorm(weights, "ln_post", config.out, kNormEps);
  const at::Tensor projection = weights.take("proj", {config.out, config.out});
  if (projection.defined()) projection_ = Linear(projection.transpose(0, 1).contiguous(), {});
}

void QwenVlTower::take_resampler(const WeightReader& weights) {
  const int64_t out = config_.out;
  if (config_.width != out)
    widen_ = take_linear(weights, "kv_proj", out, config_.width, /*bias=*/false);
  pool_norm_ = LayerNorm(weights, "ln_kv", out, kNormEps);
  const LayerNorm query_norm(weights, "ln_q", out, kNormEps);
  const at::Tensor queries = weights.take("query", {config_.queries, out});
  const at::Tensor positions = weights.take("pos_embed", {config_.queries, out});
  const at::Tensor matrix = weights.take("attn.in_proj_weight", {3 * out, out});
  const at::Tensor bias = weights.take("attn.in_proj_bias", {3 * out});
  pool_out_ = take_linear(weights, "attn.out_proj", out, out, /*bias=*/true);
  const bool has_norm = weights.has("ln_q.weight") && weights.has("ln_q.bias");
  // Missing tensors are reported together by WeightReader::finish.
  if (!queries.defined() || !positions.defined() || !matrix.defined() || !bias.defined() ||
      !has_norm)
    return;
  const auto part = [&](int64_t i) {
    return Linear(matrix.narrow(0, i * out, out).contiguous(),
                  bias.narrow(0, i * out, out).contiguous());
  };
  pool_queries_ = by_head(part(0)(query_norm(queries) + positions), config_.out_heads).contiguous();
  pool_positions_ = resized_positions(positions, config_.patches_per_side());
  pool_keys_ = part(1);
  pool_values_ = part(2);
}

at::Tensor QwenVlTower::embed_patches(const at::Tensor& pixels) const {
  const at::Tensor patches = patch_rows(pixels.to(patch_embedding_.options()), config_.patch_size,
                                        config_.patches_per_side());
  return norm_before_(at::matmul(patches, patch_embedding_.transpose(0, 1)) + positions_);
}

at::Tensor QwenVlTower::attention(const Block& block, const at::Tensor& x) const {
  const int64_t tokens = x.size(0);
  const int64_t head_dim = config_.width / config_.heads;
  // [tokens, heads, 3, head_dim] -> [3, heads, tokens, head_dim]
  const at::Tensor qkv =
      block.qkv.of_prompt(x).view({tokens, config_.heads, 3, head_dim}).permute({2, 1, 0, 3});
  const at::Tensor out = full_attention(qkv[0], qkv[1], qkv[2], attention_scale(head_dim));
  return block.out.of_prompt(out.transpose(0, 1).reshape({tokens, config_.width}));
}

at::Tensor QwenVlTower::resample(const at::Tensor& x) const {
  const at::Tensor patches = pool_norm_(config_.width == config_.out ? x : widen_(x));
  const int64_t heads = config_.out_heads;
  const at::Tensor keys = by_head(pool_keys_(patches + pool_positions_), heads);
  const at::Tensor values = by_head(pool_values_(patches), heads);
  const at::Tensor pooled =
      full_attention(pool_queries_, keys, values, attention_scale(config_.out / heads));
  return pool_out_(pooled.transpose(0, 1).reshape({config_.queries, config_.out}));
}

at::Tensor QwenVlTower::features(const at::Tensor& pixels, const Observer* observer) const {
  ELASTIKV_ASSERT(pixels.size(1) == config_.image_size && pixels.size(2) == config_.image_size,
                  "a view of {} x {}", pixels.size(1), pixels.size(2));
  at::Tensor x = embed_patches(pixels);
  if (observer != nullptr) (*observer)("vision.embeddings", x);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    x = x + attention(block, block.norm1(x));
    x = x + block.down.of_prompt(activate(Activation::kGelu, block.up.of_prompt(block.norm2(x))));
    if (observer != nullptr) (*observer)(fmt::format("vision.layers.{}", i), x);
  }
  at::Tensor projected = projection_(norm_after_(resample(x)));
  if (observer != nullptr) (*observer)("projector", projected);
  return projected;
}

QwenVl::QwenVl(const QwenVlConfig& config, const WeightReader& weights)
    : config_(config),
      tower_(config.vision, weights.scope("transformer.visual.")),
      language_(config.text, weights.scope("transformer."), weights, qwen_names()) {}

at::Tensor QwenVl::encode_image(const ProcessedImage& image, const Observer* observer) const {
  return tower_.features(image.pixels[0], observer);
}

}  // namespace elastikv
