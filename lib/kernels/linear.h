#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/cpu/panel_weights.h"

namespace elastikv {

/// y = x W^T + b with the weight in the layout that is fastest on its device. On the CPU, in fp32
/// and bf16, the weights are held once, as panels for our own kernel (cpu/panel_linear.h), and what
/// was given may go.
class Linear {
 public:
  Linear() = default;
  /// weight: [out_features, in_features]; bias: [out_features] or undefined.
  Linear(const at::Tensor& weight, at::Tensor bias);
  /// The layer whose outputs are those of several, in their order: weights [out_i, in_features].
  Linear(const std::vector<at::Tensor>& weights, at::Tensor bias);

  /// x: [..., in_features] -> [..., out_features], same dtype. On the CPU the bits of a row do not
  /// depend on the other rows: batches of sequences may be cut as memory allows.
  at::Tensor operator()(const at::Tensor& x) const;
  /// residual += the layer's output; residual: contiguous [rows, out_features].
  void add_to(const at::Tensor& residual, const at::Tensor& x) const;

  /// The same for rows that always come together, the tokens of a prompt or an image, by whichever
  /// of our kernel and LibTorch's is the faster one here (see prompt_products).
  at::Tensor of_prompt(const at::Tensor& x) const;
  void add_prompt_to(const at::Tensor& residual, const at::Tensor& x) const;

  /// Whether the given weight is not read any more.
  bool copied() const { return copied_; }

 private:
  bool takes_library(const at::Tensor& x) const;

  at::Tensor weight_;  // where there are no panels
  cpu::PanelWeights panels_;
  at::Tensor bias_;
  int64_t out_features_ = 0;
  bool copied_ = false;
};

/// What multiplies the tokens of a prompt with a dtype's weights on this CPU: "elastikv", "elastikv
/// (AMX)" where a matrix unit does it, "elastikv (AVX512_BF16)" where vectors of bf16 pairs do, or
/// "LibTorch" where that was measured to be 1.5 times as fast. Measured once per dtype and process,
/// which takes some hundredths of a second.
const char* prompt_products(c10::ScalarType dtype);

}  // namespace elastikv
