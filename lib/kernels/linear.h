#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// y = x W^T + b with the weight in the layout that is fastest on its device. On the CPU the weight
/// is packed once for oneDNN (fp32 and bf16); the plain weight is then not kept.
class Linear {
 public:
  Linear() = default;
  /// weight: [out_features, in_features]; bias: [out_features] or undefined.
  Linear(const at::Tensor& weight, at::Tensor bias);

  /// x: [..., in_features] -> [..., out_features], same dtype.
  at::Tensor operator()(const at::Tensor& x) const;
  int64_t out_features() const { return out_features_; }

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  int64_t out_features_ = 0;
  bool packed_ = false;
};

}  // namespace elastikv
