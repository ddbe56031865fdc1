#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <ATen/core/Tensor.h>

#include "kernels/linear.h"
#include "models/activation.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// Sees intermediates by name ("layers.3.attn_out"), for comparing a run with another
/// implementation layer by layer.
using Observer = std::function<void(const std::string& name, const at::Tensor& value)>;

/// A linear layer `name`.weight [out, in] and, if `bias`, `name`.bias [out].
Linear take_linear(const WeightReader& weights, std::string_view name, int64_t out, int64_t in,
                   bool bias);

/// Several linear layers over the same input as one product: outputs are concatenated in the order
/// of `names`.
Linear take_stacked_linear(const WeightReader& weights,
                           std::initializer_list<std::pair<std::string_view, int64_t>> names,
                           int64_t in, bool bias);

at::Tensor activate(Activation activation, const at::Tensor& x);

/// The patches of an image as rows, [side * side, channels * patch * patch], row by row: a
/// convolution whose stride is its kernel is one product over them, and as such it stays in fp32 on
/// a GPU, where convolutions are computed in TF32 unless that is forbidden for the whole process.
/// pixels: [channels, height, width]; those beyond `side` patches are in none.
at::Tensor patch_rows(const at::Tensor& pixels, int64_t patch, int64_t side);

/// kernels/norm.h with its weight.
class RmsNorm {
 public:
  RmsNorm() = default;
  RmsNorm(at::Tensor weight, double eps) : weight_(std::move(weight)), eps_(eps) {}
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_;  // [hidden]
  double eps_ = 0;
};

class LayerNorm {
 public:
  LayerNorm() = default;
  LayerNorm(const WeightReader& weights, std::string_view name, int64_t size, double eps);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_;  // [size]
  at::Tensor bias_;    // [size]
  double eps_ = 0;
};

}  // namespace elastikv
