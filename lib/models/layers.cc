#include "models/layers.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <fmt/format.h>

#include "base/error.h"
#include "kernels/norm.h"

namespace elastikv {

Linear take_linear(const WeightReader& weights, std::string_view name, int64_t out, int64_t in,
                   bool bias) {
  return take_stacked_linear(weights, {{name, out}}, in, bias);
}

Linear take_stacked_linear(const WeightReader& weights,
                           std::initializer_list<std::pair<std::string_view, int64_t>> names,
                           int64_t in, bool bias) {
  std::vector<at::Tensor> matrices;
  std::vector<at::Tensor> biases;
  bool complete = true;
  for (const auto& [name, out] : names) {
    matrices.push_back(weights.take(fmt::format("{}.weight", name), {out, in}));
    complete = complete && matrices.back().defined();
    if (!bias) continue;
    biases.push_back(weights.take(fmt::format("{}.bias", name), {out}));
    complete = complete && biases.back().defined();
  }
  // Missing tensors are reported together by WeightReader::finish.
  if (!complete) return {};
  Linear layer(matrices, bias ? at::cat(biases) : at::Tensor());
  if (layer.copied()) {
    for (const auto& [name, out] : names) weights.release(fmt::format("{}.weight", name));
  }
  return layer;
}

at::Tensor activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kQuickGelu:
      return x * at::sigmoid(x * 1.702);
    case Activation::kSilu:
      return at::silu(x);
  }
  throw InternalError("an activation without a formula");
}

at::Tensor patch_rows(const at::Tensor& pixels, int64_t patch, int64_t side) {
  return pixels.narrow(1, 0, side * patch)
      .narrow(2, 0, side * patch)
      .reshape({pixels.size(0), side, patch, side, patch})
      .permute({1, 3, 0, 2, 4})
      .reshape({side * side, -1});
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const { return rms_norm(x, weight_, eps_); }

LayerNorm::LayerNorm(const WeightReader& weights, std::string_view name, int64_t size, double eps)
    : weight_(weights.take(fmt::format("{}.weight", name), {size})),
      bias_(weights.take(fmt::format("{}.bias", name), {size})),
      eps_(eps) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {weight_.size(0)}, weight_, bias_, eps_);
}

}  // namespace elastikv
