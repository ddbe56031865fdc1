#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv::cuda {

/// elastikv::rms_norm by one kernel, a block for each row; x may have strides before its last
/// dimension where it has three.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// elastikv::gated_silu by one kernel.
at::Tensor gated_silu(const at::Tensor& x);

}  // namespace elastikv::cuda
