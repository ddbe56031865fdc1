#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv {

/// The gate of a SwiGLU block: silu(a) * b for x = [a | b], [rows, 2 size] -> [rows, size], same
/// dtype, computed in fp32 on the CPU.
at::Tensor gated_silu(const at::Tensor& x);

namespace reference {
/// Plain ATen, any device and dtype.
at::Tensor gated_silu(const at::Tensor& x);
}  // namespace reference

namespace cpu {
/// fp32 and bf16: one pass instead of two operators.
at::Tensor gated_silu(const at::Tensor& x);
}  // namespace cpu

}  // namespace elastikv
