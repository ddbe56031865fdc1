#include "models/qwen2_vl/qwen2_vl.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "base/error.h"
#include "kernels/activation.h"
#include "kernels/attention.h"

namespace elastikv {
namespace {

constexpr double kNormEps = 1e-6;  // not in any configuration

/// Angles of a grid of patches in squares of merge x merge: the first quarter of a head turns by
/// the row, the second by the column, f32 [rows * columns, head_dim].
RotaryTable::Angles grid_angles(int64_t rows, int64_t columns, int64_t merge, int64_t head_dim,
                                double theta) {
  const int64_t half = head_dim / 2;
  const at::Tensor exponents = at::arange(0, half, 2, at::kFloat) / static_cast<double>(half);
  const at::Tensor frequencies = at::reciprocal(at::pow(theta, exponents));
  const auto in_squares = [&](const at::Tensor& grid) {
    return grid.reshape({rows / merge, merge, columns / merge, merge})
        .permute({0, 2, 1, 3})
        .flatten();
  };
  const at::Tensor row = at::arange(rows, at::kFloat).unsqueeze(1).expand({rows, columns});
  const at::Tensor column = at::arange(columns, at::kFloat).unsqueeze(0).expand({rows, columns});
  const at::Tensor angles = at::cat(
      {at::outer(in_squares(row), frequencies), at::outer(in_squares(column), frequencies)}, 1);
  return {at::cat({angles.cos(), angles.cos()}, 1), at::cat({-angles.sin(), angles.sin()}, 1)};
}

}  // namespace

Qwen2VlTower::Norm Qwen2VlTower::take_norm(const WeightReader& weights,
                                           std::string_view name) const {
  Norm norm;
  norm.is_rms = windowed();
  if (norm.is_rms) {
    norm.rms =
        RmsNorm(weights.take(fmt::format("{}.weight", name), {config_.hidden_size}), kNormEps);
  } else {
    norm.layer = LayerNorm(weights, name, config_.hidden_size, kNormEps);
  }
  return norm;
}

Qwen2VlTower::Qwen2VlTower(const Qwen2VlConfig::Vision& config, const WeightReader& weights,
                           int64_t out)
    : config_(config) {
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  const at::Tensor kernel = weights.take(
      "patch_embed.proj.weight",
      {hidden, config.channels, config.temporal_patch_size, config.patch_size, config.patch_size});
  // A still image is all frames of its patch, so the kernels of the frames add up.
  if (kernel.defined())
    patch_embedding_ = kernel.to(at::kFloat).sum(2).flatten(1).to(kernel.scalar_type());
  for (int64_t i = 0; i < config.layers; ++i) {
    const WeightReader w = weights.scope(fmt::format("blocks.{}.", i));
    Block block;
    block.norm1 = take_norm(w, "norm1");
    block.norm2 = take_norm(w, "norm2");
    block.qkv = take_linear(w, "attn.qkv", 3 * hidden, hidden, /*bias=*/true);
    block.out = take_linear(w, "attn.proj", hidden, hidden, /*bias=*/true);
    if (windowed()) {
      block.up = take_stacked_linear(w, {{"mlp.gate_proj", inner}, {"mlp.up_proj", inner}}, hidden,
                                     /*bias=*/true);
      block.down = take_linear(w, "mlp.down_proj", hidden, inner, /*bias=*/true);
    } else {
      block.up = take_linear(w, "mlp.fc1", inner, hidden, /*bias=*/true);
      block.down = take_linear(w, "mlp.fc2", hidden, inner, /*bias=*/true);
    }
    blocks_.push_back(std::move(block));
  }
  const int64_t square = hidden * config.merge_size * config.merge_size;
  merger_norm_ = take_norm(weights, "merger.ln_q");
  merger_in_ = take_linear(weights, "merger.mlp.0", square, square, /*bias=*/true);
  merger_out_ = take_linear(weights, "merger.mlp.2", out, square, /*bias=*/true);
}

Qwen2VlTower::Windows Qwen2VlTower::windows(int64_t rows, int64_t columns) const {
  Windows windows;
  const int64_t side = config_.window_size / config_.merge_size / config_.patch_size;
  for (int64_t top = 0; top < rows; top += side) {
    for (int64_t left = 0; left < columns; left += side) {
      for (int64_t y = top; y < std::min(top + side, rows); ++y) {
        for (int64_t x = left; x < std::min(left + side, columns); ++x)
          windows.order.push_back(y * columns + x);
      }
      windows.ends.push_back(static_cast<int64_t>(windows.order.size()));
    }
  }
  return windows;
}

at::Tensor Qwen2VlTower::attention(const Block& block, const at::Tensor& x,
                                   const RotaryTable::Angles& angles,
                                   const std::vector<int64_t>& ends) const {
  const int64_t patches = x.size(0);
  const int64_t head_dim = config_.hidden_size / config_.heads;
  // [patches, 3, heads, head_dim]
  const at::Tensor qkv = block.qkv.of_prompt(x).view({patches, 3, config_.heads, head_dim});
  const auto rotated = [&](int64_t part) {
    // In fp32 whatever the weights are, as transformers does.
    return RotaryTable::rotate_rows(qkv.select(1, part).to(at::kFloat), angles)
        .to(x.scalar_type())
        .transpose(0, 1);
  };
  const at::Tensor queries = rotated(0);
  const at::Tensor keys = rotated(1);
  const at::Tensor values = qkv.select(1, 2).transpose(0, 1);
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  const int64_t square = config_.merge_size * config_.merge_size;
  std::vector<at::Tensor> parts;
  parts.reserve(ends.size());
  int64_t begin = 0;
  for (const int64_t end : ends) {
    const int64_t first = begin * square;
    const int64_t count = (end - begin) * square;
    parts.push_back(full_attention(queries.narrow(1, first, count), keys.narrow(1, first, count),
                                   values.narrow(1, first, count), scale));
    begin = end;
  }
  return block.out.of_prompt(
      at::cat(parts, 1).transpose(0, 1).reshape({patches, config_.hidden_size}));
}

at::Tensor Qwen2VlTower::mlp(const Block& block, const at::Tensor& x) const {
  if (!windowed()) return block.down.of_prompt(activate(config_.activation, block.up.of_prompt(x)));
  const at::Tensor both = block.up.of_prompt(x);
  const int64_t inner = config_.intermediate_size;
  return block.down.of_prompt(activate(config_.activation, both.narrow(1, 0, inner)) *
                              both.narrow(1, inner, inner));
}

at::Tensor Qwen2VlTower::features(const at::Tensor& pixels, const Observer* observer) const {
  const int64_t patch = config_.patch_size;
  const int64_t merge = config_.merge_size;
  const int64_t rows = pixels.size(1) / patch;
  const int64_t columns = pixels.size(2) / patch;
  ELASTIKV_ASSERT(rows % merge == 0 && columns % merge == 0, "{} x {} patches", rows, columns);
  const int64_t squares = rows * columns / (merge * merge);
  // Patches of a square follow each other, squares row by row.
  const at::Tensor patches =
      pixels.to(patch_embedding_.options())
          .view({config_.channels, rows / merge, merge, patch, columns / merge, merge, patch})
          .permute({1, 4, 2, 5, 0, 3, 6})
          .reshape({rows * columns, -1});
  at::Tensor x = at::matmul(patches, patch_embedding_.transpose(0, 1));
  RotaryTable::Angles angles =
      grid_angles(rows, columns, merge, config_.hidden_size / config_.heads, config_.rope_theta);
  const std::vector<int64_t> everything{squares};
  Windows windows;
  at::Tensor order;
  if (windowed()) {
    windows = this->windows(rows / merge, columns / merge);
    order = at::tensor(windows.order, at::kLong);
    const auto reordered = [&](const at::Tensor& of_patches) {
      return of_patches.view({squares, merge * merge, -1})
          .index_select(0, order.to(of_patches.device()))
          .flatten(0, 1);
    };
    x = reordered(x);
    angles = {reordered(angles.cos), reordered(angles.sin)};
  }
  angles = {angles.cos.to(x.device()), angles.sin.to(x.device())};
  if (observer != nullptr) (*observer)("vision.embeddings", x);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const auto& full = config_.full_attention_blocks;
    const bool in_windows =
        windowed() && std::find(full.begin(), full.end(), static_cast<int64_t>(i)) == full.end();
    x = x + attention(block, block.norm1(x), angles, in_windows ? windows.ends : everything);
    x = x + mlp(block, block.norm2(x));
    if (observer != nullptr) (*observer)(fmt::format("vision.layers.{}", i), x);
  }
  at::Tensor merged = merger_norm_(x).view({squares, -1});
  merged = merger_out_(activate(Activation::kGelu, merger_in_(merged)));
  if (windowed()) merged = merged.index_select(0, at::argsort(order).to(merged.device()));
  if (observer != nullptr) (*observer)("projector", merged);
  return merged;
}

Qwen2Vl::Qwen2Vl(const Qwen2VlConfig& config, const WeightReader& weights)
    : config_(config),
      tower_(config.vision, weights.scope("model.visual."), config.text.hidden_size),
      language_(config.text, weights.scope("model.language_model."), weights) {}

at::Tensor Qwen2Vl::encode_image(const ProcessedImage& image, const Observer* observer) const {
  return tower_.features(image.pixels[0], observer);
}

at::Tensor Qwen2Vl::rotary_positions(int64_t tokens, const std::vector<PlacedImage>& images) const {
  if (images.empty()) return {};
  at::Tensor positions = at::empty({3, tokens}, at::kLong);
  auto* axes = positions.mutable_data_ptr<int64_t>();
  int64_t next = 0;  // position
  int64_t token = 0;
  const auto put_text = [&](int64_t end) {
    for (; token < end; ++token, ++next) {
      for (int64_t axis = 0; axis < 3; ++axis) axes[axis * tokens + token] = next;
    }
  };
  const int64_t square = config_.vision.patch_size * config_.vision.merge_size;
  for (const PlacedImage& image : images) {
    put_text(image.span.begin);
    const int64_t rows = image.geometry.view.height / square;
    const int64_t columns = image.geometry.view.width / square;
    ELASTIKV_ASSERT(image.span.end - image.span.begin == rows * columns,
                    "{} tokens for an image of {} x {}", image.span.end - image.span.begin, rows,
                    columns);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column, ++token) {
        axes[token] = next;
        axes[tokens + token] = next + row;
        axes[2 * tokens + token] = next + column;
      }
    }
    next += std::max(rows, columns);
  }
  put_text(tokens);
  return positions;
}

}  // namespace elastikv
