#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv {

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension; the normalization in fp32 whatever
/// the dtype and rounded to it before the weight is applied, as in transformers' LlamaRMSNorm. x:
/// [rows, size]; weight: [size].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

namespace reference {
/// Plain ATen, any device and dtype.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
}  // namespace reference

namespace cpu {
/// fp32 and bf16: one pass per row instead of seven operators.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
}  // namespace cpu

}  // namespace elastikv
