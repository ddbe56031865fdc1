#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// What a linear layer on the CPU may take.
enum class LinearMemory {
  kFast,   ///< in fp32 and bf16 twice the weight: packed for oneDNN, and plain in large pages
  kSmall,  ///< the weight as it is given, which may be a view of a file's map
};

/// y = x W^T + b with the weight in the layout that is fastest on its device. On the CPU (fp32 and
/// bf16, where oneDNN can) a packed copy is made and the plain weight kept beside it: a product
/// with few rows only waits for the weights, which our own kernel reads as fast as memory gives
/// them. In a product of 2-D x with packed weights, equal rows give equal bits (the same sequence
/// in two places of a batch); MKL's fp32 product in small memory promises that on one thread only.
class Linear {
 public:
  Linear() = default;
  /// weight: [out_features, in_features]; bias: [out_features] or undefined.
  Linear(const at::Tensor& weight, at::Tensor bias, LinearMemory memory = LinearMemory::kFast);

  /// x: [..., in_features] -> [..., out_features], same dtype.
  at::Tensor operator()(const at::Tensor& x) const;
  /// residual += the layer's output; residual: contiguous [rows, out_features].
  void add_to(const at::Tensor& residual, const at::Tensor& x) const;
  int64_t out_features() const { return out_features_; }

 private:
  bool has_few_rows(const at::Tensor& x) const;

  at::Tensor weight_;
  at::Tensor bias_;
  at::Tensor packed_;
  bool own_kernel_ = false;  // for few rows
  int64_t out_features_ = 0;
};

namespace cpu {
/// x: [rows, in]; weight: [out, in], contiguous, of the same dtype, fp32 or bf16; bias: [out] or
/// undefined. fp32 inside. A row's result does not depend on the other rows. With a residual [rows,
/// out] the rounded product is added to it in place, and it is returned.
at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& residual = {});
}  // namespace cpu

}  // namespace elastikv
