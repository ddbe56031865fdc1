#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cpu/panel_weights.h"

namespace elastikv::cpu {

/// y = x W^T + b. x: [rows, in], fp32 or bf16; bias: [out] of x's dtype or undefined; y: [rows,
/// out] of x's dtype, rounded once. Products and sums are in fp32. With a residual (contiguous
/// [rows, out], of x's dtype) the rounded product is added to it in place, and it is returned.
/// The bits of a row depend neither on the other rows nor on the number of threads: every output is
/// the sum, in order, of the sums over 256 inputs, each in order; where both x and the weights are
/// bf16 and there is a matrix unit, one sum over all inputs in its order.
at::Tensor panel_linear(const at::Tensor& x, const PanelWeights& weights, const at::Tensor& bias,
                        const at::Tensor& residual = {});

}  // namespace elastikv::cpu
